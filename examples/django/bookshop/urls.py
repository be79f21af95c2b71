"""What the bookshop answers."""

import os

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone

BOOKS = ["Moby-Dick", "Middlemarch", "The Leopard"]


def books(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"books": BOOKS, "uid": os.getuid(), "zone": str(timezone.get_current_timezone())})


urlpatterns = [path("", books)]
