"""Static files of Django projects: collected in the image as it is, put where the settings say, the same for all."""

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder.sandbox import rungs
from tests import index, sdists
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)

# As much of Django as the project's own program needs; what the settings call `collect` is what collecting does.
DJANGO = index.wheel(
    "django",
    files={
        "django/__init__.py": b"",
        "django/conf.py": b"""
import importlib, os
class Settings:
    def __getattr__(self, name):
        return getattr(importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"]), name)
settings = Settings()
""",
        "django/core/__init__.py": b"",
        "django/core/management.py": b"""
from django.conf import settings
def execute_from_command_line(words):
    settings.SECRET_KEY
    if words[1] == "version":
        print("5.2")
    elif words[1:] == ["collectstatic", "--noinput"]:
        settings.collect(str(settings.STATIC_ROOT))
    else:
        raise SystemExit(f"unknown command: {words}")
""",
    },
)
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import json, os, pathlib, socket, sys
SECRET_KEY = os.environ["SECRET_KEY"]
STATIC_ROOT = {root}

def tried(what, *values):
    try:
        return repr(what(*values))
    except Exception as error:
        return type(error).__name__

def collect(root):
    {collect}
"""
COPY = """
    folder = pathlib.Path(root, "css")
    folder.mkdir(parents=True)
    for path in pathlib.Path("assets").glob("*.css"):
        (folder / path.name).write_bytes(path.read_bytes())
"""
LOOK = """
    network = tried(socket.create_connection, ("192.0.2.1", 80), 5)
    written = [tried(open, path, "w") for path in ("/workspace/new", "/layers/new", "/etc/new", root + "/new")]
    seen = [network, written, sorted(os.environ), os.getcwd(), sys.path[0], os.getuid(), sys.prefix, SECRET_KEY]
    pathlib.Path(root, "seen.json").write_text(json.dumps([*seen, sorted(os.listdir(root))]))
"""
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CONFIGURATION = """
collectstatic = "manage.py"
env = { REGION = "Főváros" }
[collectstatic-env]
SECRET_KEY = "only-while-collecting"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world"), DJANGO) as found:
        yield found


def project(
    place: World, name: str, *, root: str, collect: str = COPY, configuration: str = CONFIGURATION, manage: str = MANAGE
) -> Path:
    files = {
        "manage.py": manage,
        "shop/__init__.py": "",
        "shop/settings.py": SETTINGS.format(root=root, collect=collect),
        "assets/style.css": "body {}\n",
        "staticfiles/old.css": "of an earlier day\n",
        "requirements.txt": "django\n",
        "imagebuilder.toml": configuration,
    }
    return place.app(files, name)


@dataclass(frozen=True)
class Built:
    """An image, and the files of its uppermost layer."""

    document: Mapping[str, object]
    files: Mapping[str, bytes]
    names: tuple[str, ...]


def built(place: World, app: Path, **environment: str) -> Built:
    ran = place.run("build", str(app), "--json", "-o", f"oci:{app.name}.oci", **environment)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    blob = place.folder / f"{app.name}.oci/blobs" / document["layers"][-1]["digest"].replace(":", "/")
    with tarfile.open(blob) as archive:
        files = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    return Built(document, files, tuple(layer["name"] for layer in document["layers"]))


def test_what_is_collected_is_a_layer_above_the_application(place: World) -> None:
    app = project(place, "shop", root='pathlib.Path(__file__).parent.parent / "staticfiles"')
    first = built(place, app)
    assert first.names[-2:] == ("application", "static files")
    assert first.files == {"workspace/staticfiles/css/style.css": b"body {}\n"}
    again = built(place, app)
    assert again.document["manifest_digest"] == first.document["manifest_digest"]
    assert [layer["cached"] for layer in again.document["layers"]][-1]  # type: ignore[attr-defined]
    before = os.umask(0o077)
    try:
        other = project(place, "elsewhere/shop", root='pathlib.Path(__file__).parent.parent / "staticfiles"')
        third = built(
            place, other, IMAGEBUILDER_CACHE_DIR=str(place.folder / "another"), SECRET_KEY="of the host", **ASCII
        )
    finally:
        os.umask(before)
    assert third.document["manifest_digest"] == first.document["manifest_digest"]
    (app / "assets/style.css").write_text("p {}\n")
    assert built(place, app).files == {"workspace/staticfiles/css/style.css": b"p {}\n"}


def test_it_sees_the_image_and_can_write_where_the_files_belong_alone(place: World) -> None:
    app = project(place, "looking", root='"staticfiles"', collect=LOOK)
    ((path, content),) = [each for each in built(place, app).files.items() if "seen" in each[0]]
    network, written, variables, folder, path_0, user, prefix, key, there = json.loads(content)
    assert path == "workspace/staticfiles/seen.json"
    assert network == "OSError" and set(written[:3]) <= {"OSError", "PermissionError"} and "new" in written[3]
    assert {"REGION", "SECRET_KEY", "VIRTUAL_ENV", "PYTHONUNBUFFERED"} <= set(variables)
    assert (folder, path_0, user, prefix) == ("/workspace", "/workspace", 65532, "/layers/site-packages")
    assert (key, there) == ("only-while-collecting", ["new"]), "what an earlier run left is not there"
    inspected = place.run("inspect", "oci:looking.oci", "--json").stdout
    assert "REGION=F" in inspected and "only-while-collecting" not in inspected


@pytest.mark.parametrize("root", ["/srv/static", "/var/www/static", "/var/lib/shop/static", "/státic"])
def test_static_files_may_be_outside_of_the_application(place: World, root: str) -> None:
    app = project(place, f"outside{root.replace('/', '-')}", root=repr(root))
    assert built(place, app).files == {f"{root[1:]}/css/style.css": b"body {}\n"}


def test_a_check_finds_static_files_that_chance_is_in(place: World) -> None:
    collect = COPY + "    pathlib.Path(root, 'random.css').write_bytes(os.urandom(8))\n"
    app = project(place, "chance", root='"staticfiles"', collect=collect)
    built(place, app)
    ran = place.run("check", str(app))
    assert ran.returncode == 1 and "workspace/staticfiles/random.css" in ran.stdout, ran.stdout + ran.stderr


FAILURES = {
    "no-program": ({"configuration": 'collectstatic = "src/manage.py"'}, "IB934", "there is no src/manage.py"),
    "no-key": ({"configuration": 'collectstatic = "manage.py"'}, "IB935", "KeyError: 'SECRET_KEY'"),
    "other-program": ({"manage": "raise SystemExit('I manage nothing')\n"}, "IB935", "I manage nothing"),
    "not-django": ({"manage": "print('done')\n"}, "IB935", "DJANGO_SETTINGS_MODULE"),
    "early-end": ({"manage": "import os\nos._exit(0)\n"}, "IB936", "does not end"),
    "failing": ({"collect": "sys.exit('no such asset')"}, "IB935", "no such asset"),
    "unset": ({"root": "None"}, "IB936", "do not set it"),
    "application": ({"root": "'/workspace'"}, "IB936", "the application is there"),
    "everything": ({"root": "'/'"}, "IB936", "the application is there"),
    "packages": ({"root": "'/workspace/../layers/static'"}, "IB936", "other files of the image"),
    "a-file": ({"root": "'manage.py'"}, "IB936", "there can be no such folder"),
    "link": ({"collect": "os.symlink('/etc/passwd', root + '/passwd')"}, "IB603", "/etc/passwd"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_collected_is_said(place: World, name: str) -> None:
    given, code, words = FAILURES[name]
    app = project(place, name, **{"root": '"staticfiles"', **given})  # type: ignore[arg-type]
    ran = place.run("build", str(app))
    assert ran.returncode != 0 and f"[{code}]" in ran.stderr and words in ran.stderr, ran.stderr


def test_no_link_leads_to_where_the_files_belong(place: World) -> None:
    app = project(place, "linked", root='"linked/static"')
    (app / "linked").symlink_to("assets")
    ran = place.run("build", str(app))
    assert "[IB936]" in ran.stderr and "a link stands on the way" in ran.stderr, ran.stderr
