"""What configuration files say, and what they may not say."""

from pathlib import Path

import pytest

from buildpacks.api import Setting
from imagebuilder import settings
from imagebuilder.options import BY_KEY, OPTIONS
from imagebuilder.settings import Given
from layers.errors import UsageError

TABLE = "pyproject.toml [tool.imagebuilder]"


def project(folder: Path, text: str, name: str = "pyproject.toml") -> settings.FileSettings:
    (folder / name).write_text(text)
    return settings.read_project(folder)


def refused(folder: Path, text: str, name: str = "pyproject.toml") -> UsageError:
    with pytest.raises(UsageError) as caught:
        project(folder, text, name)
    assert name in caught.value.message
    return caught.value


def test_a_project_without_files_says_nothing(tmp_path: Path) -> None:
    assert settings.read_project(tmp_path) == settings.FileSettings()


def test_values_and_tables_have_their_origin(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        [project]
        name = "Shop"
        [tool.imagebuilder]
        python = ">=3.11"
        packages = ["libpq5", "ffmpeg"]
        requirements = "prod.txt"
        format = 1
        [tool.imagebuilder.processes]
        web = "gunicorn shop.wsgi"
        """,
    )
    assert found.values == {
        "python": Given((">=3.11",), TABLE),
        "packages": Given(("libpq5", "ffmpeg"), TABLE),
        "requirements": Given(("prod.txt",), TABLE),
    }
    assert found.tables == {"processes": {"web": Setting("gunicorn shop.wsgi", TABLE)}}
    assert (found.project_name, found.files) == ("Shop", ("pyproject.toml",))


def test_imagebuilder_toml_has_the_keys_at_the_top(tmp_path: Path) -> None:
    found = project(tmp_path, 'base = "debian:sid"\n[env]\nA = "1"\n', "imagebuilder.toml")
    assert found.values == {"base": Given(("debian:sid",), "imagebuilder.toml")}
    assert found.tables == {"env": {"A": Setting("1", "imagebuilder.toml")}}


def test_two_configurations_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert refused(tmp_path, "", "imagebuilder.toml").code == "IB106"


@pytest.mark.parametrize(
    ("key", "meant"), [("pyton", "python"), ("package", "packages"), ("debian_mirror", "debian-mirror")]
)
def test_an_unknown_key_is_answered_with_the_nearest(key: str, meant: str, tmp_path: Path) -> None:
    error = refused(tmp_path, f'[tool.imagebuilder]\n{key} = "x"\n')
    assert (error.code, error.exit_code) == ("IB102", 2)
    assert f"`{key}`" in error.message
    assert error.hint == f"did you mean `{meant}`?"


@pytest.mark.parametrize("key", ["tag", "cache-dir", "offline", "directory"])
def test_what_does_not_belong_to_the_image_is_no_key_of_the_project(key: str, tmp_path: Path) -> None:
    assert refused(tmp_path, f'[tool.imagebuilder]\n{key} = "x"\n').code == "IB102"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("python = 3.13", 'write `python = "3.13"`'),
        ('packages = "libpq5"', 'write `packages = ["libpq5"]`'),
        ("packages = [1]", 'write `packages = ["1"]`'),
        ('base = ["debian:sid"]', 'write `base = "…"`'),
        ("env = { PORT = 8000 }", 'write `PORT = "8000"`'),
        ('env = "A=1"', 'write `env = { name = "…" }`'),
        ("python = 2026-01-31", 'write `python = "…"`'),
        ("python = true", 'write `python = "…"`'),
    ],
)
def test_a_wrong_type_is_answered_with_how_to_write_it(text: str, hint: str, tmp_path: Path) -> None:
    error = refused(tmp_path, f"[tool.imagebuilder]\n{text}\n")
    assert (error.code, error.hint) == ("IB104", hint)


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nimagebuilder = []", "project = 1"])
def test_a_value_where_a_table_belongs_is_refused(text: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text).code == "IB104"


@pytest.mark.parametrize(
    "text", ["format = 2", "format = true", 'format = "1"', 'packages = [" "]', 'packages = ["a b"]']
)
def test_a_value_that_cannot_be_is_refused(text: str, tmp_path: Path) -> None:
    assert refused(tmp_path, f"[tool.imagebuilder]\n{text}\n").code == "IB101"


@pytest.mark.parametrize("name", ["pyproject.toml", "imagebuilder.toml", "project.toml"])
@pytest.mark.parametrize("content", [b"a = ", b"a = '\xff'", b"[a]\n[a]"])
def test_a_file_that_is_not_toml_is_refused_with_its_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name) as caught:
        settings.read_project(tmp_path)
    assert caught.value.code == "IB105"


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(UsageError) as caught:
        settings.read_project(tmp_path)
    assert caught.value.code == "IB105"


def test_a_project_descriptor_gives_its_build_environment_and_names_what_has_no_effect(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        [_]
        schema-version = "0.2"
        [io.buildpacks]
        exclude = ["*.md"]
        builder = "some/builder"
        [[io.buildpacks.build.env]]
        name = "BP_CPYTHON_VERSION"
        value = "3.11"
        """,
        "project.toml",
    )
    assert found.build_env == {"BP_CPYTHON_VERSION": "3.11"}
    assert found.without_effect == ("`io.buildpacks.builder` (project.toml)",)


@pytest.mark.parametrize(
    "env", ['env = "A"', "env = [1]", "env = [{ name = 1, value = 'x' }]", "env = [{ name = 'x' }]"]
)
def test_a_malformed_build_environment_is_refused(env: str, tmp_path: Path) -> None:
    assert refused(tmp_path, f"[io.buildpacks.build]\n{env}\n", "project.toml").code == "IB104"


def test_the_users_file_sets_what_concerns_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert settings.read_user(path) == {}
    path.write_text('cache-dir = "/c"\ncolor = "never"\n')
    assert settings.read_user(path) == {"cache-dir": Given(("/c",), str(path)), "color": Given(("never",), str(path))}


@pytest.mark.parametrize("home", ["/dev/null", "/nowhere"])
def test_a_home_that_is_no_folder_has_no_configuration(home: str) -> None:
    assert settings.read_user(Path(home) / ".config" / "imagebuilder" / "config.toml") == {}


def test_a_file_too_large_to_be_a_configuration_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "#" * (5 << 20)).code == "IB105"


@pytest.mark.parametrize(
    ("text", "code"), [('base = "debian:sid"', "IB111"), ('colour = "never"', "IB102"), ("color = 1", "IB104")]
)
def test_the_users_file_cannot_change_an_image(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        settings.read_user(path)
    assert caught.value.code == code


def test_nothing_that_a_user_may_set_for_all_projects_changes_bytes() -> None:
    assert {option.key for option in OPTIONS if option.user} == {
        "cache-dir",
        "color",
        "debian-mirror",
        "debian-snapshot",
        "conda-channel-alias",
        "python-mirror",
    }
    assert BY_KEY["env"].variable == ""
