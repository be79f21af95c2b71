from importlib.util import find_spec

import bottle


@bottle.get("/")
def names() -> dict[str, bool]:
    return {name: find_spec(name) is not None for name in ("tabulate", "six", "colorama", "iniconfig")}


application = bottle.default_app()
