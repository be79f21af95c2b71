"""Conda environments from the command line: solved, locked, built and found again, from channels on the loopback."""

import gzip
import hashlib
import io
import json
import random
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from buildpacks.api import App
from imagebuilder.conda import Channels
from tests import condas, debs, index, sdists, world
from tests.condas import LIB, TOOL, Conda, other, python
from tests.world import World

CHANNEL = (python(), python("3.12.9"), TOOL, LIB, other(LIB, version="1.4", depends=("__glibc >=2.99",)))
MAIN = {"main.py": "print('hello')\n"}


@dataclass
class Place:
    """A world with a channel in it."""

    world: World

    def publish(self, *packages: Conda, channel: str = "forge") -> None:
        for path, content in condas.channel(packages).items():
            self.world.mirror.files[f"/conda/{channel}/{path}"] = content

    def run(self, *arguments: str, **environment: str) -> str:
        ran = self.world.run(*arguments, IMAGEBUILDER_CONDA_CHANNEL_ALIAS=self.alias, **environment)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def fail(self, *arguments: str, **environment: str) -> str:
        ran = self.world.run(*arguments, IMAGEBUILDER_CONDA_CHANNEL_ALIAS=self.alias, **environment)
        assert ran.returncode != 0
        return ran.stderr

    @property
    def alias(self) -> str:
        return f"{self.world.mirror.address}/conda"

    def locked(self, app: Path) -> list[dict[str, object]]:
        lock = tomllib.loads((app / "imagebuilder.lock").read_text())
        return lock["platforms"]["linux/amd64"]["buildpacks"]["conda-env-update"]["conda"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    wheels = (
        index.wheel("extra", "1.0", files={"extra.py": b"x = 1\n"}, requires=["tool"]),
        index.wheel("tool", "3.0"),
        sdists.sdist("source", "1.0"),
    )
    with world.running(tmp_path_factory.mktemp("conda"), *wheels) as found:
        place = Place(found)
        place.publish(*CHANNEL)
        yield place


def environment(*specs: str, channels: str = "[forge, nodefaults]", more: str = "") -> dict[str, str]:
    listed = "".join(f"- {json.dumps(spec)}\n" for spec in specs)
    return {**MAIN, "environment.yml": f"channels: {channels}\ndependencies:\n{listed}{more}"}


def test_an_environment_is_solved_for_the_image_and_locked_by_hash(place: Place) -> None:
    app = place.world.app(environment("tool", "python=3.13"), "solved")
    plan = json.loads(place.run("plan", str(app), "--json"))
    assert [each["id"] for each in plan["buildpacks"]] == ["miniconda", "conda-env-update", "python-start"]
    place.run("lock", str(app))
    assert [(each["name"], each["version"], each["path"]) for each in place.locked(app)] == [
        ("lib", "1.3", "forge/linux-64/lib-1.3-h2_1.tar.bz2"),
        ("python", "3.13.5", "forge/linux-64/python-3.13.5-h1_0_cpython.conda"),
        ("tool", "2.0", "forge/noarch/tool-2.0-pyh1_0.conda"),
    ]
    assert "127.0.0.1" not in (app / "imagebuilder.lock").read_text()


@dataclass
class Image:
    """What is in an image: its documents, the layers' digests by name, and all files."""

    digest: str
    config: dict
    layers: dict[str, str]
    files: dict[str, bytes | str]


def read(layout: Path) -> Image:
    def blob(digest: str) -> bytes:
        return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()

    (described,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads(blob(described["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    digests = [layer["digest"] for layer in manifest["layers"]]
    files: dict[str, bytes | str] = {}
    for digest in digests:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(digest)))) as tar:
            for member in tar:
                opened = tar.extractfile(member) if member.isfile() else None
                files[member.name] = opened.read() if opened else member.linkname
    names = [each["created_by"] for each in config["history"]]
    return Image(described["digest"], config["config"], dict(zip(names, digests, strict=True)), files)


def test_the_image_is_the_same_and_holds_the_environment(place: Place) -> None:
    app = place.world.app(environment("tool", "python=3.13", more="variables: {COLOUR: red}\n"), "same")
    place.run("build", str(app), "-o", "oci:out/one")
    place.run("build", str(app), "-o", "oci:out/two", "--no-cache")
    one, two = read(place.world.folder / "out" / "one"), read(place.world.folder / "out" / "two")
    assert one == two
    prefix = condas.PREFIX
    assert one.files[f"{prefix}/lib/python3.13/site-packages/tool/__init__.py"].startswith(b"def main")
    assert one.files[f"{prefix}/conda-meta/history"] == b""
    assert one.files[f"{prefix}/share/lib.conf"] == b"prefix=/layers/conda-environment\n"
    assert not [path for path in one.files if path.startswith("usr/bin/python") or path.endswith(".pyc")]
    variables = dict(text.split("=", 1) for text in one.config["Env"])
    assert variables["PATH"].startswith("/layers/conda-environment/bin:")
    assert (variables["CONDA_PREFIX"], variables["COLOUR"]) == ("/layers/conda-environment", "red")
    assert one.config["Entrypoint"] == ["python", "main.py"]


def test_a_package_has_the_same_layer_in_every_application(place: Place) -> None:
    large = Conda("large", members=(debs.file("share/large", random.Random(1).randbytes(1 << 20)),))
    place.publish(large, python(), channel="big")
    layers = []
    for number, specs in enumerate((["large"], ["large", "python"])):
        app = place.world.app(environment(*specs, channels="[big]"), f"sharing{number}")
        place.run("build", str(app), "-o", f"oci:out/sharing{number}")
        layers.append(read(place.world.folder / "out" / f"sharing{number}").layers)
    assert layers[0]["large"] == layers[1]["large"]


def test_what_is_pinned_is_kept_until_it_is_to_be_upgraded(place: Place) -> None:
    place.publish(LIB, channel="moving")
    app = place.world.app(environment("lib", channels="[moving]"), "kept")
    place.run("lock", str(app))
    place.publish(LIB, other(LIB, version="1.9"), python(), channel="moving")
    (app / "environment.yml").write_text(environment("lib", "python", channels="[moving]")["environment.yml"])
    place.run("lock", str(app))
    assert [each["version"] for each in place.locked(app)] == ["1.3", "3.13.5"]
    place.run("lock", str(app), "--upgrade", "lib")
    assert [each["version"] for each in place.locked(app)] == ["1.9", "3.13.5"]


def test_an_environment_without_python_is_one_too(place: Place) -> None:
    app = place.world.app(environment("lib"), "without")
    place.run("build", str(app), "-o", "oci:out/without")
    assert not [path for path in read(place.world.folder / "out" / "without").files if "python" in path]


def test_a_lock_is_enough_to_build_without_solving(place: Place) -> None:
    """Nor are channels asked for more than the packages, wherever they are now."""
    place.publish(*CHANNEL, channel="old/forge")
    app = place.world.app(environment("tool", "python"), "enough")
    place.run("lock", str(app))
    place.world.mirror.asked.clear()
    moved = {"CONDA_CHANNEL_ALIAS": f"{place.alias}/old", "IMAGEBUILDER_CACHE_DIR": str(place.world.folder / "other")}
    ran = place.world.run("build", str(app), "--locked", **moved)
    assert ran.returncode == 0, ran.stderr
    conda = [path for path in place.world.mirror.asked if path.startswith("/conda/")]
    assert sorted(path.rpartition("/")[2] for path in conda) == sorted(each["name"] for each in files(place, app))
    assert all(path.startswith("/conda/old/forge/") for path in conda)


def files(place: Place, app: Path) -> list[dict[str, object]]:
    return [{"name": str(each["path"]).rpartition("/")[2]} for each in place.locked(app)]


def test_the_channel_may_say_what_it_has_compressed(place: Place) -> None:
    for path in [path for path in place.world.mirror.files if path.startswith("/conda/forge/") and "repodata" in path]:
        content = place.world.mirror.files[path]
        place.world.mirror.files[path.replace("forge", "small") + ".zst"] = zstandard.compress(content)
    app = place.world.app(environment("lib", channels="[small]"), "compressed")
    place.run("lock", str(app))
    assert place.locked(app)[0]["path"] == "small/linux-64/lib-1.3-h2_1.tar.bz2"


def test_an_explicit_list_is_taken_as_it_is(place: Place) -> None:
    lines = [f"{place.alias}/forge/{each.subdir}/{each.file_name}" for each in (python(), TOOL, LIB)]
    lines[0] += f"#{python().repodata['md5']}"
    lines[1] += f"#sha256:{TOOL.repodata['sha256']}"
    text = "\n".join(["# platform: linux-64", "@EXPLICIT", *lines]) + "\n"
    app = place.world.app({**MAIN, "package-list.txt": text}, "explicit")
    place.run("build", str(app), "-o", "oci:out/explicit")
    solved = place.world.app(environment("tool", "python=3.13"), "solved-too")
    place.run("build", str(solved), "-o", "oci:out/solved-too")
    explicit, other = read(place.world.folder / "out" / "explicit"), read(place.world.folder / "out" / "solved-too")
    assert [explicit.layers[name] for name in ("conda", "conda-environment")] == [
        other.layers[name] for name in ("conda", "conda-environment")
    ]


def test_a_list_as_conda_exports_it_is_solved(place: Place) -> None:
    text = "# platform: linux-64\nlib=1.3=h2_1\npython=3.12.9=h1_0_cpython\n"
    app = place.world.app({**MAIN, "package-list.txt": text, "environment.yml": "channels: [forge]\n"}, "exported")
    place.run("lock", str(app))
    assert [each["version"] for each in place.locked(app)] == ["1.3", "3.12.9"]


def test_a_vendored_channel_is_the_only_one(place: Place) -> None:
    app = place.world.app(environment("lib", channels="[elsewhere]"), "vendored")
    for path, content in condas.channel([LIB]).items():
        (app / "vendor" / path).parent.mkdir(parents=True, exist_ok=True)
        (app / "vendor" / path).write_bytes(content)
    place.run("build", str(app), "-o", "oci:out/vendored")
    assert place.locked(app)[0]["path"] == "vendor/linux-64/lib-1.3-h2_1.tar.bz2"


def test_pip_adds_what_conda_does_not_bring(place: Place) -> None:
    app = place.world.app(environment("tool", "python=3.13", more="- pip:\n  - extra\n"), "beside")
    ran = place.world.run("lock", str(app), IMAGEBUILDER_CONDA_CHANNEL_ALIAS=place.alias)
    assert "IB" in ran.stderr  # the index has tool 3.0 only, and conda 2.0
    app = place.world.app(environment("python=3.13", more="- pip:\n  - click<8.3\n"), "beside2")
    place.run("build", str(app), "-o", "oci:out/beside2")
    found = read(place.world.folder / "out" / "beside2").files
    assert found[f"{condas.PREFIX}/lib/python3.13/site-packages/click.py"] == b"# command line\n"


def test_packages_that_both_bring_are_those_of_conda(place: Place) -> None:
    click = other(TOOL, name="click", version="8.2.0", entry_points=(), depends=("python",))
    place.publish(python(), click, channel="both")
    app = place.world.app(environment("python", "click", channels="[both]", more="- pip:\n  - flask\n"), "both")
    place.run("build", str(app), "-o", "oci:out/both")
    found = read(place.world.folder / "out" / "both").files
    site = f"{condas.PREFIX}/lib/python3.13/site-packages"
    assert f"{site}/flask/__init__.py" in found
    assert f"{site}/click.py" not in found


LOCK = """\
version: 1
metadata:
  content_hash: {{linux-64: abc}}
package:
- name: lib
  version: '1.3'
  manager: conda
  platform: linux-64
  dependencies: {{__glibc: '>=2.17'}}
  url: {alias}/forge/linux-64/{lib}
  hash:
    md5: {md5}
    sha256: {sha256}
  category: main
  optional: false
- name: tool
  version: '2.0'
  manager: conda
  platform: linux-64
  url: {alias}/forge/noarch/nowhere-2.0-0.conda
  hash: {{sha256: {sha256}}}
  category: dev
- name: lib
  version: '1.3'
  manager: conda
  platform: osx-64
  url: {alias}/forge/osx-64/lib-1.3-0.conda
  hash: {{sha256: {sha256}}}
- name: python
  version: 3.13.5
  manager: conda
  platform: linux-64
  url: {alias}/forge/linux-64/python-3.13.5-h1_0_cpython.conda
  hash: {{sha256: {python}}}
- name: click
  version: 8.2.0
  manager: pip
  platform: linux-64
  url: https://files.example.com/click-8.2.0-py3-none-any.whl
  hash: {{sha256: {click}}}
"""
PIXI = """\
version: 6
environments:
  default:
    channels:
    - url: {alias}/forge/
    packages:
      linux-64:
      - conda: {alias}/forge/linux-64/{lib}
      - conda: {alias}/forge/linux-64/python-3.13.5-h1_0_cpython.conda
      - pypi: https://files.example.com/click-8.2.0-py3-none-any.whl
packages:
- conda: {alias}/forge/linux-64/{lib}
  sha256: {sha256}
  md5: {md5}
  depends:
  - __glibc >=2.17
  size: {size}
- conda: {alias}/forge/linux-64/python-3.13.5-h1_0_cpython.conda
  sha256: {python}
- pypi: https://files.example.com/click-8.2.0-py3-none-any.whl
  name: click
  version: 8.2.0
  sha256: {click}
"""


@pytest.mark.parametrize(("file", "text"), [("conda-lock.yml", LOCK), ("pixi.lock", PIXI)])
def test_a_lock_of_other_tools_is_taken_as_it_is(file: str, text: str, place: Place) -> None:
    filled = text.format(
        alias=place.alias,
        lib=LIB.file_name,
        python=python().repodata["sha256"],
        click=hashlib.sha256(world.SHELF[1].content).hexdigest(),
        **{key: LIB.repodata[key] for key in ("md5", "sha256", "size")},
    )
    app = place.world.app({**MAIN, file: filled}, file.partition(".")[0])
    name = file.partition(".")[0]
    place.run("build", str(app), "-o", f"oci:out/{name}")
    found = read(place.world.folder / "out" / name).files
    assert f"{condas.PREFIX}/conda-meta/lib-1.3-h2_1.json" in found
    assert f"{condas.PREFIX}/lib/python3.13/site-packages/click.py" in found
    assert not [path for path in found if "conda-meta/tool" in path]


SECRET = "tk-1a2b3c4d5e"


def test_credentials_are_used_and_written_nowhere(place: Place) -> None:
    place.publish(LIB, channel=f"t/{SECRET}/private")
    address = f"{place.alias}/t/${{CONDA_TOKEN}}/private"
    app = place.world.app(environment("lib", channels=f'["{address}"]'), "secret")
    errors = place.fail("lock", str(app), CONDA_TOKEN="wrong" + SECRET)
    assert SECRET not in errors
    ran = place.world.run("build", str(app), "-o", "oci:out/secret", "-v", CONDA_TOKEN=SECRET)
    assert ran.returncode == 0, ran.stderr
    assert place.locked(app)[0]["path"] == "private/linux-64/lib-1.3-h2_1.tar.bz2"
    found = read(place.world.folder / "out" / "secret")
    texts = [ran.stdout, ran.stderr, (app / "imagebuilder.lock").read_text(), json.dumps(found.config)]
    texts += [content.decode("latin-1") if isinstance(content, bytes) else content for content in found.files.values()]
    assert not [text for text in texts if SECRET in text]


def bad(name: str, files: dict[str, str], *, arguments: tuple[str, ...] = ()) -> tuple[str, dict[str, str], tuple]:
    return name, files, arguments


NO_HASH = other(LIB, name="nohash", record={"sha256": None})
WRONG = other(LIB, name="wrong", record={"name": "wrong", "version": "9.9"})
RIVAL = Conda("rival", members=(debs.file("share/same.conf", b"another"),))
LINKED = Conda("linked", members=(debs.symlink("share", "lib"),))
BAD = {
    "IB912": (
        bad("no list", {"environment.yml": "dependencies: flask\n"}),
        bad("a table", {"environment.yml": "dependencies:\n- npm: [left-pad]\n"}),
        bad("variables", {"environment.yml": "variables: [a]\n"}),
        bad("no variable", {"environment.yml": "variables: {A=B: c}\n"}),
        bad("beside a lock", {"environment.yml": "variables: [a]\n", "package-list.txt": "lib\n"}),
        bad("yaml", {"environment.yml": "dependencies: &all []\n"}),
        bad("a path", environment("python", more="- pip:\n  - -r other.txt\n")),
        bad("a spec", environment("lib >>1")),
        bad("platform", {"package-list.txt": "# platform: osx-64\nlib\n"}),
        bad("no address", {"package-list.txt": "@EXPLICIT\nlib\n"}),
        bad("other address", {"package-list.txt": "@EXPLICIT\nhttps://example.com/c/win-64/a-1-0.conda\n"}),
        bad("nothing", {"conda-lock.yml": "package: []\n"}),
        bad("no environment", {"pixi.lock": "version: 6\nenvironments: {}\n"}),
        bad(
            "not described",
            {
                "pixi.lock": "environments:\n  default:\n    packages:\n      linux-64:\n      - conda: https://x/y.conda\n"
            },
        ),
    ),
    "IB913": (
        bad("no such package", environment("lob")),
        bad("no such version", environment("lib>=2")),
        bad("another glibc", environment("lib=1.4")),
    ),
    "IB914": (
        bad("no hash", environment("nohash")),
        bad("not there", {"package-list.txt": "@EXPLICIT\n{alias}/forge/linux-64/gone-1-0.conda\n"}),
        bad(
            "another MD5",
            {"package-list.txt": f"@EXPLICIT\n{{alias}}/forge/linux-64/{LIB.file_name}#{'0' * 32}\n"},
        ),
    ),
    "IB932": (bad("bytecode", environment("python"), arguments=("--bytecode", "unchecked-hash")),),
    "IB915": (bad("python", environment("lib"), arguments=("--python", "3.13")),),
    "IB916": (
        bad("no TLS", environment("lib", channels='["http://conda.example.com/x"]')),
        bad("no JSON", environment("lib", channels="[broken]")),
    ),
    "IB917": (
        bad("pip without python", environment("lib", more="- pip:\n  - click\n")),
        bad("a source", environment("python", more="- pip:\n  - source\n")),
    ),
    "IB911": (bad("another name", environment("wrong")),),
    "IB512": (
        bad("two of one file", environment("lib", "rival")),
        bad("a link and a file", environment("lib", "linked")),
    ),
}


@pytest.mark.parametrize(
    ("code", "case"), [(code, case) for code, cases in BAD.items() for case in cases], ids=lambda case: str(case[0])
)
def test_what_cannot_be_done_is_explained(code: str, case: tuple[str, dict[str, str], tuple], place: Place) -> None:
    name, texts, arguments = case
    place.publish(*CHANNEL, NO_HASH, WRONG, RIVAL, LINKED)
    place.world.mirror.files["/conda/broken/linux-64/repodata.json"] = b"{"
    written = {path: text.replace("{alias}", place.alias) for path, text in texts.items()}
    app = place.world.app({**MAIN, **written}, f"bad {name}")
    errors = place.fail("build", str(app), *arguments)
    assert f"error[{code}]" in errors
    assert "hint:" in errors


def test_who_has_no_rattler_is_told_how_to_get_it(place: Place, tmp_path: Path) -> None:
    (tmp_path / "rattler.py").write_text("raise ImportError('no rattler')\n")
    app = place.world.app(environment("lib"), "no-rattler")
    errors = place.fail("lock", str(app), PYTHONPATH=f"{tmp_path}:{world.ROOT}")
    line = f"{place.alias}/forge/linux-64/{LIB.file_name}#{LIB.repodata['sha256']}\n"
    exact = place.world.app({**MAIN, "package-list.txt": f"@EXPLICIT\n{line}"}, "no-rattler-needed")
    ran = place.world.run("build", str(exact), PYTHONPATH=f"{tmp_path}:{world.ROOT}")
    assert ran.returncode == 0, ran.stderr
    assert "error[IB910]" in errors
    assert "imagebuilder[conda]" in errors


def test_a_program_that_conda_would_run_is_named(place: Place) -> None:
    app = place.world.app(environment("lib"), "hooks")
    ran = place.world.run("build", str(app), "--no-cache", IMAGEBUILDER_CONDA_CHANNEL_ALIAS=place.alias)
    assert "warning: lib 1.3 has bin/.lib-post-link.sh, which nobody runs" in ran.stderr


def test_a_file_that_would_count_makes_the_lock_stale(place: Place) -> None:
    app = place.world.app(environment("lib"), "stale")
    place.run("lock", str(app))
    place.run("lock", str(app), "--check")
    (app / "package-list.txt").write_text("lib=1.3\n")
    ran = place.world.run("lock", str(app), "--check", IMAGEBUILDER_CONDA_CHANNEL_ALIAS=place.alias)
    assert "package-list.txt has changed" in ran.stdout


def test_builds_under_other_conditions_give_the_same_image(place: Place) -> None:
    app = place.world.app(environment("tool", "python=3.13", more="- pip:\n  - click\n"), "checked")
    assert json.loads(place.run("check", str(app), "--vary", "source,umask,clock,order,hashseed", "--json"))["same"]


def test_a_list_may_name_a_package_twice(place: Place) -> None:
    line = f"{place.alias}/forge/linux-64/{LIB.file_name}\n"
    app = place.world.app({**MAIN, "package-list.txt": f"@EXPLICIT\n{line}{line}"}, "twice")
    place.run("build", str(app), "-o", "oci:out/twice")
    assert len(place.locked(app)) == 1


def test_channels_are_found_where_conda_finds_them_if_nothing_is_said(tmp_path: Path) -> None:
    address = Channels(App(tmp_path)).address("conda-forge")
    assert address.startswith("https://") and address.endswith("/conda-forge")
    assert Channels(App(tmp_path), environment={"CONDA_CHANNEL_ALIAS": "https://x.example/c/"}).address(
        "a/label/b"
    ) == ("https://x.example/c/a/label/b")
