from fastapi import FastAPI, Response

from app.colours import COLOURS

application = FastAPI()


@application.get("/{colour}", response_class=Response)
async def code(colour: str) -> Response:
    return Response(COLOURS[colour], media_type="text/plain")
