"""From application to image and lock, in a world on loopback: what is asked for, what is kept, and what comes out."""

import json
import random
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

from tests import debs, index, world
from tests.world import World

FLASK = {"requirements.txt": "flask\n", "main.py": "import flask\n"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    clashing = [index.wheel(name, files={"shared.py": name.encode()}) for name in ("one", "two")]
    same = [index.wheel(name, files={"shared.py": b"same"}) for name in ("alike", "likewise")]
    large = index.wheel("large", files={"large.bin": random.Random(1).randbytes(1 << 21)})
    with world.running(tmp_path, *clashing, *same, large) as found:
        yield found


def done(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def built(place: World, app: Path, *flags: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(done(place.run("build", str(app), "--json", *flags)))
    return document


def layers(document: dict[str, object]) -> dict[str, dict[str, object]]:
    found = document["layers"]
    assert isinstance(found, list)
    return {layer["name"]: layer for layer in found}


def pinned(app: Path) -> dict[str, str]:
    """Versions by name of all Python packages in the lock."""
    lock = tomli.loads((app / "imagebuilder.lock").read_text())
    packages = lock["platforms"]["linux/amd64"]["buildpacks"]["pip-install"]["packages"]
    return {package["name"]: package["version"] for package in packages}


def test_a_lock_that_is_in_the_image_may_be_written_by_the_build(place: World) -> None:
    app = place.app({**FLASK, ".imagebuilderignore": "!imagebuilder.lock\n"})
    built(place, app)
    (app / "requirements.txt").write_text("flask\nlarge\n")
    built(place, app)
    listed = done(place.run("inspect", "oci:dist/app.oci", "--files"))
    assert "workspace/imagebuilder.lock" in listed


def test_an_image_holds_the_base_the_interpreter_the_packages_and_the_application(place: World) -> None:
    document = built(place, place.app(FLASK))
    names = ["debian:trixie base", "debian:trixie interpreter", "environment", "site-packages", "launchers"]
    assert list(layers(document)) == [*names, "application"]
    shown = json.loads(done(place.run("inspect", "oci:dist/app.oci", "--json")))
    assert (shown["user"], shown["working_dir"], shown["entrypoint"]) == (
        "65532:65532",
        "/workspace",
        ["python", "main.py"],
    )
    listed = done(place.run("inspect", "oci:dist/app.oci", "--files"))
    site = "layers/site-packages/lib/python3.13/site-packages"
    for path in (
        "usr/bin/python3.13",
        f"{site}/flask/__init__.py",
        f"{site}/click.py",
        "cnb/process/web",
        "workspace/main.py",
    ):
        assert re.search(rf"\b{re.escape(path)}\b", listed), path
    assert "imagebuilder.lock" not in listed


def test_a_plan_says_which_layer_each_package_is_in_and_why(place: World) -> None:
    app = place.app({**FLASK, "requirements.txt": "flask\nlarge\n"})
    assert json.loads(done(place.run("plan", str(app), "--json")))["layers"] == []
    built(place, app)
    large, small = json.loads(done(place.run("plan", str(app), "--json")))["layers"]
    assert large == {"name": "large", "packages": ["large"], "why": "large: at least 1,000,000 bytes"}
    assert (small["name"], small["why"]) == ("site-packages", "all that are small")
    assert {"large", *small["packages"]} == pinned(app).keys()
    assert "all that are small" in done(place.run("plan", str(app)))


def test_a_build_whose_lock_fits_asks_for_nothing_twice(place: World) -> None:
    app = place.app(FLASK)
    first = built(place, app)
    place.mirror.asked.clear()
    place.index.seen.clear()
    second = built(place, app, "--locked", "--offline")
    assert (place.mirror.asked, place.index.seen) == ([], [])
    assert second["manifest_digest"] == first["manifest_digest"]
    assert all(layer["cached"] for layer in layers(second).values())


def test_the_lock_of_equal_inputs_is_the_same_file(place: World) -> None:
    one, two = place.app(FLASK, "one"), place.app(FLASK, "two")
    done(place.run("lock", str(one)))
    done(place.run("lock", str(two), IMAGEBUILDER_CACHE_DIR=str(place.folder / "other"), TZ="Asia/Tokyo"))
    assert (one / "imagebuilder.lock").read_bytes() == (two / "imagebuilder.lock").read_bytes()


def test_a_package_has_the_same_layer_in_every_application(place: World) -> None:
    one = built(place, place.app({**FLASK, "requirements.txt": "large\n"}, "one"))
    two = built(place, place.app({**FLASK, "requirements.txt": "large\nflask\n"}, "two"))
    assert layers(one)["large"]["digest"] == layers(two)["large"]["digest"]
    assert layers(two)["large"]["cached"] is True


def test_changing_the_application_changes_its_layer_alone(place: World) -> None:
    app = place.app(FLASK)
    before = layers(built(place, app))
    (app / "main.py").write_text("import flask, click\n")
    after = layers(built(place, app, "--locked"))
    assert [name for name in before if before[name]["digest"] != after[name]["digest"]] == ["application"]


def test_old_pins_are_kept_when_requirements_change_until_an_upgrade(place: World) -> None:
    app = place.app({**FLASK, "requirements.txt": "click<8.3\n"})
    done(place.run("lock", str(app)))
    assert pinned(app) == {"click": "8.2.0"}
    (app / "requirements.txt").write_text("click\nflask\n")
    done(place.run("lock", str(app)))
    assert pinned(app) == {"click": "8.2.0", "flask": "3.1.2"}
    done(place.run("lock", str(app), "--upgrade", "flask"))
    assert pinned(app)["click"] == "8.2.0"
    done(place.run("lock", str(app), "--upgrade", "click"))
    assert pinned(app)["click"] == "8.3.0"
    done(place.run("lock", str(app), "--upgrade"))
    assert pinned(app) == {"click": "8.3.0", "flask": "3.1.2"}


def test_upgrading_what_is_not_there_is_an_error(place: World) -> None:
    app = place.app(FLASK)
    done(place.run("lock", str(app)))
    ran = place.run("lock", str(app), "--upgrade", "flaks")
    assert (ran.returncode, "error[IB432]" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("requirements.txt", "flask\nclick\n", "requirements.txt has changed"),
        ("requirements/base.txt", "click<8.3\n", "requirements/base.txt has changed"),
        (".python-version", "3.13\n", "what is required of it has changed"),
        ("Procfile", "web: echo $PORT\n", "procfile: it is not in the lock"),
        ("imagebuilder.toml", 'packages = ["libpq5"]\n', "OS packages"),
        ("imagebuilder.toml", 'requirements = ["requirements/base.txt"]\n', "requirements"),
        ("imagebuilder.toml", "entry = \"sh -c 'echo $HOME'\"\n", "entry has changed"),
    ],
)
def test_a_lock_says_why_it_does_not_fit_any_more(place: World, path: str, text: str, reason: str) -> None:
    app = place.app(
        {"requirements.txt": "-r requirements/base.txt\n", "requirements/base.txt": "click\n", "main.py": ""}
    )
    done(place.run("lock", str(app)))
    assert done(place.run("lock", str(app), "--check")).endswith("fits")
    (app / path).write_text(text)
    ran = place.run("lock", str(app), "--check")
    assert ran.returncode == 1
    assert reason in ran.stdout
    done(place.run("build", str(app)))
    assert place.run("lock", str(app), "--check").returncode == 0


@pytest.mark.parametrize(("path", "text"), [("main.py", "changed"), ("README.md", "new"), ("data/x.csv", "1,2")])
def test_what_no_choice_was_made_from_leaves_the_lock_alone(place: World, path: str, text: str) -> None:
    app = place.app(FLASK)
    done(place.run("lock", str(app)))
    (app / path).parent.mkdir(exist_ok=True)
    (app / path).write_text(text)
    assert place.run("lock", str(app), "--check").returncode == 0


def test_an_os_package_added_brings_the_newest_base_and_interpreter(place: World) -> None:
    app = place.app(FLASK)
    done(place.run("lock", str(app)))
    newer = [debs.package("python3.13", version="3.13.6-1", depends="libexpat1"), *world.PYTHON[1:]]
    place.mirror.publish_suite("trixie", (*world.BASE, *newer, *world.EXTRAS))
    (app / "imagebuilder.toml").write_text('packages = ["libpq5"]\n')
    done(place.run("lock", str(app)))
    text = (app / "imagebuilder.lock").read_text()
    assert 'version = "3.13.6-1"' in text
    assert 'name = "libpq5"' in text
    assert 'python = "3.13.6"' in text


def test_a_process_that_needs_a_shell_gets_one(place: World) -> None:
    names = layers(built(place, place.app({**FLASK, "Procfile": "web: python main.py && echo done\n"})))
    assert "debian:trixie packages" in names


def test_a_process_that_is_not_there_is_told_before_anything_is_pinned(place: World) -> None:
    app = place.app({**FLASK, "Procfile": "worker: python work.py\n"}, "processes")
    ran = place.run("build", str(app), "--process", "wroker")
    assert (ran.returncode, "IB650" in ran.stderr, "--process worker" in ran.stderr) == (2, True, True)
    assert not (app / "imagebuilder.lock").exists()


def test_sizes_that_an_index_does_not_tell_do_not_change_the_image(place: World, tmp_path: Path) -> None:
    app = place.app({**FLASK, "requirements.txt": "large\nflask\n"})
    told = built(place, app)
    (app / "imagebuilder.lock").unlink()
    place.index.html = True
    assert built(place, app)["manifest_digest"] == told["manifest_digest"]


def test_two_wheels_with_different_bytes_for_one_path_are_an_error_that_names_both(place: World) -> None:
    ran = place.run("build", str(place.app({"requirements.txt": "one\ntwo\n", "main.py": ""})))
    assert ran.returncode == 6
    for words in ("error[IB512]", "one 1.0", "two 1.0", "shared.py"):
        assert words in ran.stderr


def test_two_wheels_with_the_same_bytes_for_one_path_are_no_error(place: World) -> None:
    built(place, place.app({"requirements.txt": "alike\nlikewise\n", "main.py": ""}))


def test_a_wheel_that_earlier_builds_know_is_not_needed_for_one_more(place: World) -> None:
    app = place.app({**FLASK, "requirements.txt": "large\n"})
    built(place, app)
    (wheel,) = (blob for blob in (place.folder / "cache/blobs/sha256").iterdir() if is_wheel(blob, "large"))
    (app / "requirements.txt").write_text("large\nalike\n")
    done(place.run("lock", str(app)))
    wheel.unlink()
    more = built(place, app)
    assert [layers(more)[name]["cached"] for name in ("environment", "large")] == [False, True]
    assert not wheel.exists()
    again = built(place, app, "--no-cache")
    assert again["manifest_digest"] == more["manifest_digest"]
    assert wheel.exists()


def is_wheel(blob: Path, name: str) -> bool:
    if not zipfile.is_zipfile(blob):
        return False
    with zipfile.ZipFile(blob) as archive:
        return f"{name}-1.0.dist-info/WHEEL" in archive.namelist()


def test_compression_changes_the_manifest_and_not_the_config(place: World) -> None:
    app = place.app(FLASK)
    found = [built(place, app, "--compression", kind) for kind in ("gzip", "zstd", "none")]
    assert len({str(document["manifest_digest"]) for document in found}) == 3
    assert len({str(document["config_digest"]) for document in found}) == 1


def test_the_environment_labels_and_time_of_the_user_are_in_the_image(place: World) -> None:
    text = 'env = { MODE = "test" }\nlabels = { team = "shop" }\nname = "shop"\n'
    built(place, place.app({**FLASK, "imagebuilder.toml": text}), "--created", "2026-01-31T12:00:00Z")
    shown = json.loads(done(place.run("inspect", "oci:dist/shop.oci", "--json")))
    assert "MODE=test" in shown["env"]
    assert shown["labels"]["team"] == "shop"
    assert shown["created"] == "2026-01-31T12:00:00Z"


def test_wheels_of_a_folder_in_the_application_stand_for_every_index(place: World) -> None:
    app = place.app({"requirements.txt": "click\n", "main.py": ""})
    (app / "wheels").mkdir()
    (old,) = [wheel for wheel in world.SHELF if wheel.filename.startswith("click-8.2.0")]
    (app / "wheels" / old.filename).write_bytes(old.content)
    done(place.run("build", str(app), BP_PIP_DEST_PATH="wheels"))
    assert pinned(app) == {"click": "8.2.0"}
    assert place.index.seen == []


def test_a_very_large_file_of_the_application_is_warned_of(place: World) -> None:
    app = place.app({"main.py": ""})
    with (app / "model\x1b.bin").open("wb") as file:
        file.truncate(101 << 20)
    ran = place.run("build", str(app))
    assert ran.returncode == 0
    assert "workspace/model" in ran.stderr
    assert "106 MB; name it in .imagebuilderignore" in ran.stderr
    assert "\x1b" not in ran.stderr
