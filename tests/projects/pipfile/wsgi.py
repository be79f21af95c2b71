"""Answer with which packages of the Pipfile are there."""

from importlib.util import find_spec


def answer(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [", ".join(name for name in ("waitress", "colorama", "iniconfig") if find_spec(name)).encode()]


application = answer
