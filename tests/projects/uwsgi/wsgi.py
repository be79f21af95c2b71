"""Answers with what only uWSGI has inside."""

import flask
import uwsgi

app = flask.Flask(__name__)


@app.get("/")
def index() -> str:
    return f"process {uwsgi.masterpid()} is the master"
