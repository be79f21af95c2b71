"""A shop made by a factory, in a package, with a template and a blueprint."""

from flask import Flask

from shop import pages


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(pages.blueprint)
    return app
