"""Standalone Pythons, from the list to the image: which are offered, where they are fetched, what the lock says."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

from buildpacks.api import Source, Target
from imagebuilder import python_builds
from imagebuilder.python_builds import PythonBuilds
from layers.descriptor import Platform
from layers.digest import Digest
from layers.errors import IntegrityError
from tests import standalones, world
from tests.standalones import Build
from tests.world import World

AMD64 = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
ARM64 = Target(Platform("linux", "arm64"), "debian:trixie", (2, 41))
APP = {"main.py": "", ".python-version": "3.12\n"}
NO_HASH = {"name": "cpython", "arch": {"family": "x86_64"}, "os": "linux", "libc": "gnu", "sha256": None}


def nothing(url: str, limit: int) -> bytes:
    raise AssertionError(url)


def offered(content: bytes, target: Target = AMD64) -> list[str]:
    builds = PythonBuilds(lambda _url, _limit: content, listed="list")
    return [each.version for each in builds.interpreters(target)]


def test_the_catalogue_has_builds_for_both_architectures_and_all_are_pinned_by_hash() -> None:
    for target, machine in ((AMD64, "x86_64"), (ARM64, "aarch64")):
        found = PythonBuilds(nothing).interpreters(target)
        assert {f"3.{minor}" for minor in range(9, 16)} <= {each.series for each in found}
        assert [each.version for each in found[:1]] == [
            max((e.version for e in found), key=lambda v: [*map(int, v.split("."))])
        ]
        for each in found:
            assert each.archive
            assert each.archive.kind == "python"
            assert f"-{machine}-unknown-linux-gnu-install_only" in each.archive.name
            assert each.archive.locator.endswith(f"/{each.archive.name}")
            assert "://" not in each.archive.locator
            assert each.executable == f"/layers/cpython/bin/python{each.series}"
            assert each.origin == f"python-build-standalone {each.archive.locator.partition('/')[0]}"


def test_nothing_is_offered_where_it_could_not_run() -> None:
    assert PythonBuilds(nothing).interpreters(Target(Platform("linux", "amd64"), "centos:6", (2, 12))) == ()


def test_of_a_list_only_what_fits_is_offered_the_newest_first() -> None:
    ones = [standalones.build(version) for version in ("3.9.1", "3.8.20", "3.12.9", "3.12.10")]
    pre, other = Build("3.15.0", b"pre", prerelease="rc1"), Build("3.14.2", b"arm", architecture="arm64")
    plain = ones[0].to_json()
    others = {
        "free": {**plain, "variant": "freethreaded"},
        "v3": {**plain, "arch": {"family": "x86_64", "variant": "v3"}},
        "musl": {**plain, "libc": "musl"},
        "mac": {**plain, "os": "darwin"},
        "pypy": {**plain, "name": "pypy"},
        "no hash": NO_HASH,
        "full": {**plain, "url": f"{standalones.RELEASES}/1/cpython-full.tar.zst"},
    }
    content = standalones.listed([*ones, pre, other], **others)
    assert offered(content) == ["3.15.0rc1", "3.12.10", "3.12.9", "3.9.1"]
    assert offered(content, ARM64) == ["3.14.2"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"one": 1}',
        b'{"one": {"name": 1}}',
        standalones.listed([Build("3.12.9", b"", sha256="abc")]),
        json.dumps({"one": {**NO_HASH, "sha256": "0" * 64}}).encode(),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="cannot read the list of standalone Pythons list: ") as caught:
        offered(content)
    assert caught.value.code == "IB891"


def test_the_mirror_is_ours_then_that_of_uv_then_that_of_pbs_installer() -> None:
    environment = {"UV_PYTHON_INSTALL_MIRROR": "http://uv/", "PBS_INSTALLER_BASE_URL": "http://pbs"}
    source = Source("python", "a+1.tar.gz", Digest.of(b""), None, "1/a+1.tar.gz")

    def asked(mirror: str, **variables: str) -> tuple[str, ...]:
        return python_builds.find(mirror, variables, nothing).candidates(source)

    assert asked("http://own/x/", **environment) == ("http://own/x/1/a%2B1.tar.gz", "http://own/x/a%2B1.tar.gz")
    assert asked("", **environment)[0] == "http://uv/1/a%2B1.tar.gz"
    assert asked("", PBS_INSTALLER_BASE_URL="http://pbs")[1] == "http://pbs/a%2B1.tar.gz"
    assert asked("")[0] == f"{standalones.RELEASES}/1/a%2B1.tar.gz"
    assert asked("/mnt/pythons") == ("/mnt/pythons/1/a+1.tar.gz", "/mnt/pythons/a+1.tar.gz")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    with world.running(tmp_path) as found:
        yield found


@pytest.fixture
def pythons(place: World) -> dict[str, str]:
    return dict(
        standalones.publish(place.mirror, place.folder, *map(standalones.build, ("3.12.8", "3.12.9", "3.13.9")))
    )


def done(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def built(place: World, app: Path, *flags: str, **environment: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(done(place.run("build", str(app), "--json", *flags, **environment)))
    return document


def names(document: dict[str, object]) -> list[str]:
    layers = document["layers"]
    assert isinstance(layers, list)
    return [layer["name"] for layer in layers]


def test_another_version_than_the_bases_is_a_layer_on_the_base_without_python(
    place: World, pythons: dict[str, str]
) -> None:
    app = place.app({**APP, "requirements.txt": "flask\n"})
    document = built(place, app, **pythons)
    expected = ["debian:trixie base", "cpython", "environment", "site-packages", "launchers", "application"]
    assert names(document) == expected
    listed = done(place.run("inspect", "oci:dist/app.oci", "--files"))
    assert "layers/cpython/bin/python3.12" in listed
    assert "usr/bin/python3" not in listed
    shown = json.loads(done(place.run("inspect", "oci:dist/app.oci", "--json")))
    assert "PATH=/layers/site-packages/bin:/layers/cpython/bin:/usr" in json.dumps(shown["env"])
    assert "/etc/ssl/certs/ca-certificates.crt" in json.dumps(shown["env"])
    again = built(place, app, "--locked", IMAGEBUILDER_CACHE_DIR=str(place.folder / "new"), **pythons)
    assert again["manifest_digest"] == document["manifest_digest"]


def test_the_lock_names_the_archive_by_hash_and_no_address(place: World, pythons: dict[str, str]) -> None:
    app = place.app(APP)
    done(place.run("lock", str(app), **pythons))
    text = (app / "imagebuilder.lock").read_text()
    assert "://" not in text
    pinned = tomli.loads(text)["platforms"]["linux/amd64"]["buildpacks"]["cpython"]["interpreter"]
    build = standalones.build("3.12.9")
    assert pinned == {
        "version": "3.12.9",
        "executable": "/layers/cpython/bin/python3.12",
        "origin": "python-build-standalone 20261021",
        "archive": {
            "name": build.name,
            "path": f"20261021/{build.name}",
            "hashes": {"sha256": Digest.of(build.content).hex},
        },
    }
    plan = json.loads(done(place.run("plan", str(app), "--json")))
    assert plan["interpreter"] == {"version": "3.12.9", "origin": "python-build-standalone 20261021"}
    assert "python-build-standalone 20261021" in done(place.run("plan", str(app)))


def test_python_build_says_whose_and_the_lock_follows(place: World, pythons: dict[str, str]) -> None:
    app = place.app({"main.py": ""})
    assert names(built(place, app, **pythons))[1] == "debian:trixie interpreter"
    assert names(built(place, app, "--python-build", "standalone", **pythons))[1] == "cpython"
    assert "3.13.9" in (app / "imagebuilder.lock").read_text()
    assert names(built(place, app, "--python-build=base", **pythons))[1] == "debian:trixie interpreter"
    assert place.run("build", str(app), "--python-build=pyenv", **pythons).returncode == 2


def test_another_file_than_the_one_that_was_pinned_is_refused(place: World, pythons: dict[str, str]) -> None:
    app = place.app(APP)
    done(place.run("lock", str(app), **pythons))
    (path,) = (path for path in place.mirror.files if "cpython-3.12.9" in path)
    place.mirror.files[path] += b"\0"
    ran = place.run("build", str(app), **pythons)
    assert ran.returncode == 6
    assert "error[IB704]" in ran.stderr
    assert "is not the file that was pinned" in ran.stderr


def test_a_mirror_without_the_archive_is_an_error_and_offline_it_is_named(
    place: World, pythons: dict[str, str]
) -> None:
    app = place.app(APP)
    done(place.run("lock", str(app), **pythons))
    offline = place.run("build", str(app), "--offline", **pythons)
    assert "error[IB700]" in offline.stderr
    assert "cpython-3.12.9+20261021" in offline.stderr
    (path,) = (path for path in place.mirror.files if "cpython-3.12.9" in path)
    content = place.mirror.files.pop(path)
    ran = place.run("build", str(app), **pythons)
    assert (ran.returncode, "is on no mirror that was asked" in ran.stderr) == (4, True), ran.stderr
    place.mirror.files[f"/python/{path.rpartition('/')[2]}"] = content
    document = built(place, app, **pythons)
    assert built(place, app, "--offline", **pythons)["manifest_digest"] == document["manifest_digest"]


def test_an_address_outside_the_releases_is_kept_as_it_is(place: World) -> None:
    place.mirror.files["/own/cpython-3.12.9-install_only.tar.gz"] = standalones.build("3.12.9").content
    url = f"{place.mirror.address}/own/cpython-3.12.9-install_only.tar.gz"
    (place.folder / "list").write_bytes(
        standalones.listed([Build("3.12.9", standalones.build("3.12.9").content, url=url)])
    )
    app = place.app(APP)
    assert "cpython" in names(built(place, app, UV_PYTHON_DOWNLOADS_JSON_URL=str(place.folder / "list")))
    assert f'url = "{url}"' in (app / "imagebuilder.lock").read_text()
    assert "cpython" in names(built(place, app, "--no-cache"))


def test_an_unknown_version_names_near_ones(place: World, pythons: dict[str, str]) -> None:
    ran = place.run("lock", str(place.app({"main.py": ""})), "--python", "3.12.99", **pythons)
    assert ran.returncode == 4
    assert "there is no Python 3.12.99 (--python)" in ran.stderr
    assert "3.12.9, 3.12.8, 3.13.9" in ran.stderr
    assert "3.13.5 (debian:trixie)" in ran.stderr


def test_an_archive_that_is_something_else_is_refused(place: World) -> None:
    content = standalones.archive(standalones.members("3.11"))
    pythons = standalones.publish(place.mirror, place.folder, Build("3.12.9", content))
    ran = place.run("build", str(place.app(APP)), **pythons)
    assert ran.returncode == 6
    assert "error[IB890]" in ran.stderr
    assert "should have 'bin/python3.12'" in ran.stderr


def test_a_list_that_is_none_is_an_error_with_its_place(place: World) -> None:
    (place.folder / "list").write_text("<html>")
    ran = place.run("lock", str(place.app(APP)), UV_PYTHON_DOWNLOADS_JSON_URL=str(place.folder / "list"))
    assert ran.returncode == 6
    assert "error[IB891]" in ran.stderr
