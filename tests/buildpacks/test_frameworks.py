from collections.abc import Mapping
from pathlib import Path

import pytest

from buildpacks import frameworks
from tests import apps

PROJECT = "[project]\nname = 'Shop_App'\n[project.scripts]\nshop = 'shop.cli:main'\n"
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\n\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
FASTAPI = "import fastapi\napi: fastapi.FastAPI = fastapi.FastAPI(title='x')\n"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', \"site.settings.dev\")\n"

CASES = {
    "nothing": ({}, "", "python"),
    "main script": ({"main.py": "", "app.py": "", "x.py": ""}, "", "python main.py"),
    "app script": ({"app.py": "", "x.py": ""}, "", "python app.py"),
    "only script": ({"report.py": "", "setup.py": "", "conftest.py": "", "test_x.py": ""}, "", "python report.py"),
    "several scripts": ({"a.py": "", "b.py": ""}, "", "python"),
    "only command of the project": (
        {"pyproject.toml": PROJECT, "main.py": "", "app.py": FLASK},
        "shop-app gunicorn",
        "shop",
    ),
    "only command of a project of poetry": (
        {"pyproject.toml": "[tool.poetry]\nname = 'shop'\n[tool.poetry.scripts]\nopen = 'shop:main'\n"},
        "shop",
        "open",
    ),
    "command of a project that is not installed": ({"pyproject.toml": PROJECT, "main.py": ""}, "", "python main.py"),
    "two commands of the project": (
        {"pyproject.toml": f"{PROJECT}admin = 'shop.cli:admin'\n", "main.py": ""},
        "shop-app",
        "python main.py",
    ),
    "package": ({"shop/__main__.py": "", "shop/x.py": ""}, "", "python -m shop"),
    "two packages": ({"a/__main__.py": "", "b/__main__.py": ""}, "", "python"),
    "flask without a server": ({"app.py": FLASK}, "flask", "flask --app=app:app run --host=0.0.0.0 --port=8000"),
    "flask": ({"app.py": FLASK, "main.py": ""}, "flask gunicorn", "gunicorn app:app"),
    "flask by another name": ({"main.py": "web = flask.Flask('x')"}, "flask gunicorn", "gunicorn main:web"),
    "flask with waitress": ({"app.py": FLASK}, "flask waitress", "waitress-serve --listen=0.0.0.0:8000 app:app"),
    "flask with uwsgi": ({"app.py": FLASK}, "flask pyuwsgi", "uwsgi --http=0.0.0.0:8000 --master --module app:app"),
    "flask in a package": ({"shop/__init__.py": FLASK, "tests/app.py": FLASK}, "gunicorn", "gunicorn shop:app"),
    "flask factory": ({"shop/__init__.py": FACTORY}, "flask gunicorn", "gunicorn shop:create_app()"),
    "flask factory with waitress": (
        {"app.py": FACTORY},
        "flask waitress",
        "waitress-serve --listen=0.0.0.0:8000 --call app:create_app",
    ),
    "flask factory without a server": (
        {"app.py": FACTORY},
        "flask",
        "flask --app=app:create_app run --host=0.0.0.0 --port=8000",
    ),
    "factory called in the module": ({"app.py": FACTORY + "\napp = create_app()\n"}, "gunicorn", "gunicorn app:app"),
    "wsgi.py": ({"wsgi.py": "from shop import app\n", "shop/app.py": FLASK}, "gunicorn", "gunicorn wsgi:app"),
    "wsgi.py with another name": (
        {"wsgi.py": "from shop import app as application  # for the server\n"},
        "gunicorn",
        "gunicorn wsgi:application",
    ),
    "wsgi.py of another framework": (
        {"wsgi.py": "import bottle\n\napplication = bottle.default_app()\n"},
        "bottle gunicorn",
        "gunicorn wsgi:application",
    ),
    "asgi.py where only its server is there": (
        {"wsgi.py": "app = 1", "asgi.py": "app = 1"},
        "uvicorn",
        "uvicorn --host=0.0.0.0 asgi:app",
    ),
    "fastapi": ({"main.py": FASTAPI}, "fastapi uvicorn", "uvicorn --host=0.0.0.0 main:api"),
    "fastapi in a package": ({"app/main.py": FASTAPI}, "fastapi uvicorn", "uvicorn --host=0.0.0.0 app.main:api"),
    "fastapi with its command": (
        {"app/main.py": FASTAPI},
        "fastapi fastapi-cli uvicorn",
        "fastapi run app/main.py --app=api",
    ),
    "fastapi with hypercorn": ({"main.py": FASTAPI}, "hypercorn", "hypercorn --bind=0.0.0.0:8000 main:api"),
    "asgi factory": (
        {"main.py": "def create_app():\n    return Starlette()\n"},
        "starlette uvicorn",
        "uvicorn --host=0.0.0.0 --factory main:create_app",
    ),
    "asgi is not served by gunicorn": ({"main.py": FASTAPI}, "fastapi gunicorn", "python main.py"),
    "an object inside a function does not count": (
        {"app.py": "def f():\n    app = Flask(__name__)\n"},
        "gunicorn",
        "python app.py",
    ),
    "django": (
        {"manage.py": MANAGE, "site/wsgi.py": "", "a/wsgi.py": ""},
        "django gunicorn",
        "gunicorn site.wsgi:application",
    ),
    "django whose settings do not tell": (
        {"manage.py": "", "shop/wsgi.py": ""},
        "django waitress",
        "waitress-serve --listen=0.0.0.0:8000 shop.wsgi:application",
    ),
    "django with asgi": (
        {"manage.py": MANAGE, "site/wsgi.py": "", "site/asgi.py": ""},
        "django daphne",
        "daphne --bind=0.0.0.0 site.asgi:application",
    ),
    "django without a server": (
        {"manage.py": MANAGE, "site/wsgi.py": ""},
        "django",
        "python manage.py runserver --noreload 0.0.0.0:8000",
    ),
    "manage.py without django": ({"manage.py": MANAGE, "main.py": ""}, "gunicorn", "python main.py"),
    "streamlit": (
        {"data.py": "import pandas", "view.py": "import streamlit as st", "zoo.py": "from streamlit import x"},
        "streamlit",
        "streamlit run view.py --server.address=0.0.0.0 --server.port=8000 --server.headless=true",
    ),
    "gradio": (
        {"app.py": "import gradio as gr\n\ngr.Interface(str).launch()\n", "main.py": "", "demo.py": "import gradio"},
        "gradio fastapi uvicorn",
        "python app.py",
    ),
    "gradio in an application of fastapi": (
        {"main.py": f"import gradio as gr\n{FASTAPI}api = gr.mount_gradio_app(api, gr.Blocks(), path='/')\n"},
        "gradio fastapi uvicorn",
        "uvicorn --host=0.0.0.0 main:api",
    ),
    "gradio unused": ({"main.py": "app.launch()"}, "gradio", "python main.py"),
    "streamlit unused": ({"main.py": ""}, "streamlit", "python main.py"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_application_is_started_by_what_it_is(tmp_path: Path, case: str) -> None:
    files: Mapping[str, str]
    files, distributions, expected = CASES[case]
    start = frameworks.find(apps.make(tmp_path, files), frozenset(distributions.split()))
    assert " ".join(start.words) == expected
    assert start.origin


def test_the_origin_says_what_was_seen(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"app.py": FLASK})
    assert frameworks.find(app, frozenset({"gunicorn"})).origin == "Flask application in app.py, served by gunicorn"
    assert "--entry" in frameworks.find(apps.make(tmp_path / "empty", {"a": ""}), frozenset()).origin


def test_sources_that_are_not_utf8_or_not_valid_python_are_no_error(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"main.py": "print 'python 2'\napp = Flask(__name__)\n"})
    (tmp_path / "app.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n")
    assert frameworks.find(app, frozenset({"gunicorn"})).words[-1] == "main:app"


def test_files_that_are_left_out_of_the_image_are_not_started(tmp_path: Path) -> None:
    apps.make(tmp_path, {"main.py": "", "app.py": ""})
    app = frameworks.App(tmp_path, ignored=lambda path: path == "main.py")
    assert frameworks.find(app, frozenset()).words == ("python", "app.py")
