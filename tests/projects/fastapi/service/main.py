from fastapi import FastAPI
from pydantic import BaseModel

app: FastAPI = FastAPI(title="Sums")


class Sum(BaseModel):
    value: int


@app.get("/sum")
async def add(a: int, b: int) -> Sum:
    return Sum(value=a + b)
