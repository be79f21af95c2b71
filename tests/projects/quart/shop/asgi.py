"""An application made by a factory whose name is customary."""

from quart import Quart


def create_app() -> Quart:
    app = Quart(__name__)

    @app.get("/goods")
    async def goods() -> list[str]:
        return ["bread", "salt"]

    return app
