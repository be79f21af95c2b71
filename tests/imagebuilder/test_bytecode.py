"""Bytecode layers: what the image's own interpreter makes of its modules, beside the layers of packages."""

import importlib.util
import json
import marshal
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType

import pytest

from buildpacks.api import Interpreter
from imagebuilder.base.pins import Base, BasePins
from imagebuilder.inside.runnable import runnable
from imagebuilder.sandbox import rungs
from layers import bytecode
from layers.descriptor import Platform
from layers.errors import BuildError
from tests import index, sdists, world
from tests.imagebuilder.test_sources import IMAGE, PYTHON
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)

TAG = f"cpython-{sdists.SERIES.replace('.', '')}"
PACKAGES = f"layers/site-packages/lib/python{sdists.SERIES}/site-packages"
LIBRARY = f"usr/lib/python{sdists.SERIES}"
MODULE = b"'''Says so.'''\nNAMES = ('value', 'path', 'sources')\ndef says_so(value={'a', 'b'}):\n    return value\n"
WHEELS = (
    index.wheel(
        "sound",
        files={
            "sound/__init__.py": MODULE,
            "sound/latin.py": "# -*- coding: latin-1 -*-\nWORD = 'é'\n".encode("latin-1"),
            "sound/0001_initial.py": b"",
            "sound/escapes.py": b"PATTERN = '\\d'\n",
            "sound/of_python_2.py": b"print 'hello'\n",
            "sound/template_{{ name }}.py": b"class {{ name }}: pass\n",
            "sound/page.tmpl.py": MODULE,
            "sound-1.0.dist-info/extra.py": MODULE,
            "sound-1.0.data/scripts/sound.py": b"#!python\nprint()\n",
            "os.py": MODULE,
            "sound/data.txt": b"",
        },
    ),
    index.wheel("other", files={"other.py": b"VALUE = 'value', 'path', 'other'\n", "zebra.py": MODULE}),
    index.wheel("large", files={"large.py": MODULE, "ballast": os.urandom(1 << 20)}),
    sdists.sdist("plain"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world"), *WHEELS) as found:
        yield found


@dataclass(frozen=True)
class Built:
    """An image: its digest, its layers, and the files of those with bytecode."""

    digest: str
    layers: Mapping[str, Mapping[str, object]]
    files: Mapping[str, bytes]

    def bytecode(self) -> dict[str, bytes]:
        return {path: content for path, content in self.files.items() if path.endswith(".pyc")}


def built(place: World, name: str, requirements: str, *flags: str, **environment: str) -> Built:
    app = place.app({"main.py": "", "requirements.txt": requirements}, name)
    flags = ("--bytecode", "unchecked-hash", *flags)
    ran = place.run("build", str(app), "--json", "-o", f"oci:{name}.oci", *flags, **environment)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    files = {}
    for layer in document["layers"]:
        blob = place.folder / f"{name}.oci/blobs" / str(layer["digest"]).replace(":", "/")
        with tarfile.open(blob) as archive:
            for member in archive:
                if member.isfile():
                    files[member.name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    return Built(document["manifest_digest"], {layer["name"]: layer for layer in document["layers"]}, files)


@pytest.fixture(scope="module")
def shop(place: World) -> Built:
    return built(place, "shop", "sound\nplain\nlarge\n")


def place_of(source: str) -> str:
    return f"layers/bytecode/{source.removesuffix('.py')}.{TAG}.pyc"


def test_each_layer_of_packages_has_one_with_its_bytecode(shop: Built) -> None:
    names = [name for name in shop.layers if name.startswith("bytecode ")]
    assert names == ["bytecode python", "bytecode large", "bytecode plain", "bytecode site-packages"]
    assert not [path for path in shop.bytecode() if not path.startswith("layers/bytecode/")]


def test_what_can_be_imported_is_compiled_and_nothing_else(shop: Built) -> None:
    expected = (
        "large.py",
        "plain.py",
        "sound/0001_initial.py",
        "sound/__init__.py",
        "sound/escapes.py",
        "sound/latin.py",
    )
    found = {path for path in shop.bytecode() if path.startswith(f"layers/bytecode/{PACKAGES}")}
    assert found == {place_of(f"{PACKAGES}/{path}") for path in expected}
    library = {path for path in shop.bytecode() if path.startswith(f"layers/bytecode/{LIBRARY}/")}
    assert {place_of(f"{LIBRARY}/{path}") for path in ("json/__init__.py", "ast.py", "encodings/ascii.py")} <= library
    assert place_of(f"{LIBRARY}/os.py") not in library, "the interpreter has it in itself"
    assert len(found | library) == len(shop.bytecode())


def test_all_bytecode_is_of_the_source_beside_it_and_never_checked(shop: Built) -> None:
    for path, content in shop.bytecode().items():
        source = path.removeprefix("layers/bytecode/").removesuffix(f".{TAG}.pyc") + ".py"
        assert content[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(content[4:8], "little") == 1, "PEP 552: by hash, unchecked"
        assert content[8:16] == importlib.util.source_hash(shop.files[source])
        code = marshal.loads(content[16:])
        assert isinstance(code, CodeType) and code.co_filename == f"/{source}"


def test_the_image_says_where_its_bytecode_is_and_one_without_does_not(place: World, shop: Built) -> None:
    config = place.run("inspect", "oci:shop.oci", "--json").stdout
    assert shop.digest and "PYTHONPYCACHEPREFIX=/layers/bytecode" in config
    plain = place.app({"main.py": "", "requirements.txt": "sound\nplain\nlarge\n"}, "plain")
    assert place.run("build", str(plain)).returncode == 0
    inspected = place.run("inspect", "oci:dist/plain.oci", "--files").stdout
    assert "PYTHONPYCACHEPREFIX" not in inspected and ".pyc" not in inspected


def test_another_place_umask_cache_and_environment_give_the_same_image(place: World, shop: Built) -> None:
    before = os.umask(0o077)
    try:
        other = {
            "IMAGEBUILDER_CACHE_DIR": str(place.folder / "another/cache"),
            "PYTHONOPTIMIZE": "1",
            "TZ": "Asia/Tokyo",
        }
        again = built(place, "somewhere-else/shop", "sound\nplain\nlarge\n", "--workers", "1", **other)
    finally:
        os.umask(before)
    assert again.bytecode() == shop.bytecode()
    assert again.layers["bytecode python"]["digest"] == shop.layers["bytecode python"]["digest"]


def test_a_package_more_makes_its_own_bytecode_and_changes_no_other(place: World, shop: Built) -> None:
    again = built(place, "more", "sound\nplain\nlarge\nother\n")
    assert [name for name, layer in again.layers.items() if not layer["cached"] and name.startswith("bytecode")] == [
        "bytecode site-packages"
    ]
    assert {path: again.files[path] for path in shop.bytecode()} == shop.bytecode(), "whatever is compiled with it"
    zebra, sound = (place_of(f"{PACKAGES}/{path}") for path in ("zebra.py", "sound/__init__.py"))
    assert len(again.files[zebra]) + len("sound/__init__") - len("zebra") == len(again.files[sound])


def test_a_check_finds_bytecode_reproducible(place: World, shop: Built) -> None:
    ran = place.run("check", str(place.folder / "shop"), "--bytecode", "unchecked-hash")
    assert shop.digest and ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/b.py", True),
        ("a/b-c/0001_d.py", True),
        ("a/b.py.txt", False),
        ("a/b.tmpl.py", False),
        ("a/c.d/b.py", False),
        ("ab.py", False),
        ("a.py", False),
        ("a/.py", False),
    ],
)
def test_modules_are_told_by_their_paths(path: str, *, found: bool) -> None:
    assert bytecode.is_module(path, "a") is found


def test_bytecode_lies_where_the_interpreter_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.pycache_prefix", f"/{bytecode.PREFIX}")
    assert importlib.util.cache_from_source("/usr/lib/x/y.py") == f"/{bytecode.place('usr/lib/x/y.py', sdists.SERIES)}"


OTHER = "arm64" if os.uname().machine == "x86_64" else "amd64"


def pins(architecture: str) -> BasePins:
    return BasePins("trixie", architecture, "20261120T141110Z", ((), (), ()))


@pytest.mark.parametrize(
    ("base", "interpreter", "code", "words"),
    [
        (pins(OTHER), PYTHON, "IB930", f"cannot make bytecode: the image is for linux/{OTHER}"),
        (replace(IMAGE, platform=Platform("linux", OTHER)), PYTHON, "IB930", f"the image is for linux/{OTHER}"),
        (pins("amd64" if OTHER == "arm64" else "arm64"), None, "IB932", "is one of its packages"),
    ],
)
def test_what_cannot_be_run_is_refused(base: Base, interpreter: Interpreter | None, code: str, words: str) -> None:
    with pytest.raises(BuildError, match=words) as caught:
        runnable(base, interpreter, what="make bytecode")
    assert caught.value.code == code


def test_an_interpreter_that_does_not_run_is_said_to_be_the_reason(tmp_path: Path) -> None:
    with world.running(tmp_path) as found:  # its Python is four bytes
        ran = found.run("build", str(found.app({"main.py": ""})), "--bytecode", "unchecked-hash")
    assert ran.returncode == 4 and "IB933" in ran.stderr, ran.stderr
