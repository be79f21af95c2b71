"""Which of several sources decides, and where each value is said to come from."""

from pathlib import Path

import pytest

from buildpacks.api import Setting
from imagebuilder import arguments, config
from imagebuilder.config import Configuration
from imagebuilder.request import Output
from layers.descriptor import Platform
from layers.errors import UsageError

TABLE = "pyproject.toml [tool.imagebuilder]"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "My App"
    folder.mkdir()
    return folder


def load(app: Path, flags: str = "", command: str = "build", **environment: str) -> Configuration:
    parsed = arguments.parse([command, str(app), *flags.split()], "0")
    return config.load(config.choose(parsed, {"HOME": "/nowhere", **environment}))


def write(app: Path, lines: str, name: str = "pyproject.toml") -> None:
    (app / name).write_text(f"[tool.imagebuilder]\n{lines}\n" if name == "pyproject.toml" else lines)


def test_without_anything_every_value_is_a_default(app: Path) -> None:
    found = load(app)
    assert found.values == {
        "name": Setting("my-app", "name of the folder"),
        "platform": Setting("linux/amd64", "default"),
        "base": Setting("debian:trixie", "default"),
        "compression": Setting("gzip", "default"),
        "created": Setting("1980-01-01T00:00:01Z", "default"),
    }
    request = found.request
    assert (request.name, request.title, request.tags) == ("my-app", "", ("my-app:latest",))
    assert request.outputs == (Output("oci", "dist/my-app.oci"),)
    assert request.platform == Platform("linux", "amd64")
    assert request.cache_dir == Path("/nowhere/.cache/imagebuilder")
    assert 2 <= request.workers <= 8
    assert not (request.locked or request.offline)
    assert request.use_cache
    assert not found.warnings


def test_a_flag_beats_a_variable_beats_the_project_beats_its_descriptor(app: Path) -> None:
    write(app, "[[io.buildpacks.build.env]]\nname = 'BP_CPYTHON_VERSION'\nvalue = '3.1'\n", "project.toml")
    assert load(app).request.settings["python"] == Setting("3.1", "BP_CPYTHON_VERSION (project.toml)")
    write(app, 'python = "3.2"')
    assert load(app).request.settings["python"] == Setting("3.2", TABLE)
    assert load(app, BP_CPYTHON_VERSION="3.3").request.settings["python"] == Setting("3.3", "BP_CPYTHON_VERSION")
    both = {"BP_CPYTHON_VERSION": "3.3", "IMAGEBUILDER_PYTHON": "3.4"}
    assert load(app, **both).request.settings["python"] == Setting("3.4", "IMAGEBUILDER_PYTHON")
    assert load(app, "--python 3.5", **both).request.settings["python"] == Setting("3.5", "--python")


def test_tables_are_merged_name_by_name(app: Path) -> None:
    write(app, 'env = { A = "file", B = "file" }\nlabels = { l = "file" }\nprocesses = { web = "python -m x" }')
    write(app, "[[io.buildpacks.build.env]]\nname = 'BPE_C'\nvalue = 'descriptor'\n", "project.toml")
    found = load(app, BPE_A="variable", BP_IMAGE_LABELS="l=variable")
    assert found.request.env == {"A": "variable", "B": "file", "C": "descriptor"}
    assert found.request.labels == {"l": "variable"}
    assert found.request.processes == {"web": Setting("python -m x", TABLE)}
    assert found.values["env.C"] == Setting("descriptor", "BPE_C (project.toml)")
    assert found.values["env.A"] == Setting("variable", "BPE_A")
    assert found.values["processes.web"] == Setting("python -m x", TABLE)


def test_all_flags_reach_the_request(app: Path) -> None:
    flags = (
        "-t team/shop:1 -o oci:out -o archive:a.tar --load docker --platform linux/arm64 --base debian:sid"
        " --process web --entry x --locked --offline --no-cache --compression zstd --created 0 --digest-file d"
        " --metadata-file m --workers 3 --cache-dir c --name Shop"
    )
    request = load(app, flags).request
    assert (request.name, request.title) == ("shop", "Shop")
    assert request.tags == ("team/shop:1",)
    assert list(map(str, request.outputs)) == ["oci:out", "archive:a.tar", "docker:team/shop:1"]
    assert str(request.platform) == "linux/arm64"
    assert request.base == "debian:sid"
    assert {key: setting.value for key, setting in request.settings.items()} == {"process": "web", "entry": "x"}
    assert request.locked
    assert request.offline
    assert not request.use_cache
    assert request.compression == "zstd"
    assert request.created == "1970-01-01T00:00:00Z"
    assert (request.digest_file, request.metadata_file) == (Path("d"), Path("m"))
    assert (request.workers, request.cache_dir) == (3, Path("c"))


def test_every_flag_has_a_variable_that_does_the_same(app: Path) -> None:
    flags = "-t a -t b --offline --compression none --workers 4 --created 5 --cache-dir c"
    variables = {
        "TAG": "a b",
        "OFFLINE": "yes",
        "COMPRESSION": "none",
        "WORKERS": "4",
        "CREATED": "5",
        "CACHE_DIR": "c",
    }
    by_variable = load(app, **{f"IMAGEBUILDER_{name}": value for name, value in variables.items()}).request
    by_flag = load(app, flags).request
    for name in ("tags", "offline", "compression", "workers", "created", "cache_dir"):
        assert getattr(by_variable, name) == getattr(by_flag, name)


def test_keys_without_a_flag_have_a_variable(app: Path) -> None:
    request = load(app, IMAGEBUILDER_PACKAGES="libpq5 ffmpeg", IMAGEBUILDER_DEBIAN_MIRROR="https://m.example").request
    assert request.packages == ("libpq5", "ffmpeg")
    assert request.debian_mirror == "https://m.example"


@pytest.mark.parametrize(("value", "on"), [("1", True), ("TRUE", True), ("0", False), ("off", False), ("", False)])
def test_a_switch_is_on_or_off(value: str, on: bool, app: Path) -> None:
    assert load(app, IMAGEBUILDER_LOCKED=value).request.locked is on


@pytest.mark.parametrize(
    ("flags", "environment", "hint"),
    [
        ("--platform linux/arm65", {}, "did you mean `linux/arm64`?"),
        ("--compression xz", {}, "choose one of gzip, zstd, none"),
        ("", {"IMAGEBUILDER_COMPRESSION": "zsdt"}, "did you mean `zstd`?"),
        ("", {"IMAGEBUILDER_LOCKED": "maybe"}, "set it to 1 or 0"),
        ("--workers 0", {}, "give 1 to 64"),
        ("--workers many", {}, "give 1 to 64"),
        ("--progress loud", {}, "choose one of auto, tty, plain, jsonl, none"),
        ("", {"BPE_A-B": "x"}, "use letters, digits and underscores"),
    ],
)
def test_a_value_that_its_option_cannot_have_is_refused(
    flags: str, environment: dict[str, str], hint: str, app: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        load(app, flags, **environment)
    assert (caught.value.code, caught.value.hint) == ("IB101", hint)


def test_a_choice_in_a_file_is_checked_too(app: Path) -> None:
    write(app, 'compression = "brotli"')
    with pytest.raises(UsageError, match=r"pyproject\.toml") as caught:
        load(app)
    assert caught.value.code == "IB101"


def test_variables_of_other_commands_are_not_looked_at(app: Path) -> None:
    assert load(app, command="plan", IMAGEBUILDER_LOCKED="maybe").request.locked is False


def test_source_date_epoch_stands_between_variables_and_files(app: Path) -> None:
    write(app, 'created = "1"')
    assert load(app).values["created"] == Setting("1970-01-01T00:00:01Z", TABLE)
    found = load(app, SOURCE_DATE_EPOCH="2")
    assert found.values["created"] == Setting("1970-01-01T00:00:02Z", "SOURCE_DATE_EPOCH")
    assert found.request.created == "1970-01-01T00:00:02Z"
    assert load(app, SOURCE_DATE_EPOCH="2", IMAGEBUILDER_CREATED="3").request.created == "1970-01-01T00:00:03Z"


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", ""])
def test_a_malformed_source_date_epoch_stops_the_build_whatever_else_is_given(value: str, app: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(app, "--created 5", SOURCE_DATE_EPOCH=value)
    assert (caught.value.code, caught.value.exit_code) == ("IB107", 2)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for missing in ("nowhere", "file"):
        with pytest.raises(UsageError, match=missing) as caught:
            load(tmp_path / missing)
        assert caught.value.code == "IB109"


def test_the_name_is_that_of_the_project_and_only_then_of_the_folder(app: Path) -> None:
    (app / "pyproject.toml").write_text('[project]\nname = "Team.Shop"\n')
    found = load(app)
    assert (found.request.name, found.request.title) == ("team-shop", "Team.Shop")
    assert found.values["name"].origin == "pyproject.toml [project]"
    assert load(app, "--name x").values["name"] == Setting("x", "--name")


def test_the_users_file_comes_last_and_sets_mirrors_and_cache(app: Path, tmp_path: Path) -> None:
    path = tmp_path / "imagebuilder" / "config.toml"
    path.parent.mkdir()
    path.write_text('cache-dir = "/c"\ndebian-mirror = "https://user.example"\n')
    found = load(app, XDG_CONFIG_HOME=str(tmp_path))
    assert (found.request.cache_dir, found.request.debian_mirror) == (Path("/c"), "https://user.example")
    assert found.values["debian-mirror"].origin == str(path)
    write(app, 'debian-mirror = "https://project.example"')
    assert load(app, XDG_CONFIG_HOME=str(tmp_path)).request.debian_mirror == "https://project.example"


def test_the_key_ring_of_a_project_lies_in_it(app: Path) -> None:
    write(app, 'debian-keyring = "keys.asc"')
    assert load(app).request.debian_keyring == app / "keys.asc"
    assert load(app, IMAGEBUILDER_DEBIAN_KEYRING="mine.asc").request.debian_keyring == Path("mine.asc")


def test_what_the_build_writes_into_the_application_is_left_out_of_it(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(app)
    ignored = load(app, "--output archive:image.tar --digest-file sub/digest").request.ignored
    assert ignored("image.tar")
    assert ignored("sub/digest")
    assert not ignored("sub/image.tar")


def test_a_variable_that_has_no_effect_is_warned_of(app: Path) -> None:
    found = load(app, IMAGEBUILDER_PLATFROM="x", IMAGEBUILDER_XYZZY="x", BP_LIVE_RELOAD_ENABLED="1")
    assert found.warnings == (
        "BP_LIVE_RELOAD_ENABLED has no effect",
        "IMAGEBUILDER_PLATFROM has no effect: did you mean IMAGEBUILDER_PLATFORM?",
        "IMAGEBUILDER_XYZZY has no effect",
    )


def test_only_index_settings_of_a_descriptor_join_the_environment(app: Path) -> None:
    lines = "".join(
        f"[[io.buildpacks.build.env]]\nname = '{name}'\nvalue = 'descriptor'\n"
        for name in ("PIP_INDEX_URL", "PIP_NO_INDEX", "DOCKER_HOST")
    )
    write(app, lines, "project.toml")
    environment = load(app, PIP_NO_INDEX="mine").request.environment
    assert environment == {"HOME": "/nowhere", "PIP_INDEX_URL": "descriptor", "PIP_NO_INDEX": "mine"}


def test_the_environment_of_the_process_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBUILDER_TAG", "x")
    assert config.process_environment()["IMAGEBUILDER_TAG"] == "x"
