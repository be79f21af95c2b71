"""Greets by name."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.app.state.greeting}, {request.path_params['name']}!")


app = Starlette(routes=[Route("/{name}", greet)])
app.state.greeting = "Hello"
