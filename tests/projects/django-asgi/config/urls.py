from django.urls import path
from notes.views import count

urlpatterns = [path("notes", count)]
