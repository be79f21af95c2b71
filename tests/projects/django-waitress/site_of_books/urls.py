from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse


def book(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"{request.resolver_match.url_name} {number}, next is {reverse('book', args=[number + 1])}")


urlpatterns = [path("books/<int:number>", book, name="book")]
