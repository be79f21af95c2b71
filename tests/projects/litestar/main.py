from dataclasses import dataclass

import litestar


@dataclass
class Book:
    title: str
    pages: int


@litestar.get("/books")
async def books() -> list[Book]:
    return [Book("Middlemarch", 880)]


web = litestar.Litestar(route_handlers=[books])
