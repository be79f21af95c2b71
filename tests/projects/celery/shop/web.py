from flask import Flask

from shop.tasks import add

app = Flask(__name__)


@app.get("/<int:one>/<int:other>")
def total(one: int, other: int) -> str:
    return str(add.apply(args=(one, other)).get())
