import bottle


@bottle.get("/hello/<name>")
def hello(name: str) -> str:
    return bottle.template("Hello, {{name}}!", name=name)


application = bottle.default_app()
