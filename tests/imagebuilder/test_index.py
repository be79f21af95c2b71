"""Index settings from pip's and uv's configuration, in tmp folders that stand for home and system."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from buildpacks.api import App, Setting
from imagebuilder import index
from imagebuilder.index import IndexSettings
from layers.errors import UsageError

SECRET = "canary-77"
USER_PIP = "home/.config/pip/pip.conf"
SYSTEM_PIP = "root/etc/pip.conf"
USER_UV = "home/.config/uv/uv.toml"


def load(
    folder: Path, files: Mapping[str, str], settings: Mapping[str, Setting] | None = None, **environment: str
) -> IndexSettings:
    """Write files below `folder` (app/, home/, root/) and read the settings they give."""
    (folder / "app").mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    app = App(folder / "app", settings or {})
    return index.load(app, environment, home=folder / "home", prefix=folder / "root")


def urls(settings: IndexSettings) -> list[str]:
    return [place.url for place in settings.indexes]


def test_without_any_configuration_the_public_index_is_asked(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == IndexSettings()


def test_of_each_key_of_pip_the_most_particular_value_counts(tmp_path: Path) -> None:
    files = {
        SYSTEM_PIP: "[global]\nindex-url = https://system/simple\nextra-index-url = https://more/simple\ntimeout=9\n",
        USER_PIP: "[global]\nindex_url = https://user/simple\n[install]\nfind-links =\n    /wheels\n    https://l/x\n",
    }
    found = load(tmp_path, files)
    assert urls(found) == ["https://more/simple", "https://user/simple"]
    assert [place.url for place in found.find_links] == ["/wheels", "https://l/x"]
    assert not found.public
    assert urls(load(tmp_path, {}, PIP_INDEX_URL="https://env/simple")) == ["https://more/simple", "https://env/simple"]
    assert load(tmp_path, {}, PIP_CONFIG_FILE="/dev/null") == IndexSettings()


def test_a_virtual_environment_and_a_named_file_configure_pip_too(tmp_path: Path) -> None:
    files = {
        USER_PIP: "[global]\nindex-url = https://user/simple\n",
        "venv/pip.conf": "[global]\nindex-url = https://venv/simple\n",
        "named.conf": "[global]\nindex-url = https://named/simple\n",
    }
    assert urls(load(tmp_path, files, VIRTUAL_ENV=str(tmp_path / "venv"))) == ["https://venv/simple"]
    assert urls(load(tmp_path, files, PIP_CONFIG_FILE=str(tmp_path / "named.conf"))) == ["https://named/simple"]


def test_uv_is_configured_by_variables_and_by_files_of_project_user_and_system(tmp_path: Path) -> None:
    files = {
        "app/pyproject.toml": '[[tool.uv.index]]\nname = "a"\nurl = "https://project/simple"\n'
        '[[tool.uv.index]]\nname = "b"\nurl = "https://only-for-some/simple"\nexplicit = true\n',
        USER_UV: 'index-url = "https://user/simple"\nfind-links = ["wheels"]\n',
        "root/etc/uv/uv.toml": '[[index]]\nurl = "https://system/simple"\ndefault = true\n',
    }
    found = load(tmp_path, files, UV_INDEX="x=https://env/simple https://env2/simple", UV_INSECURE_HOST="h:80")
    expected = ["https://env/simple", "https://env2/simple", "https://project/simple", "https://user/simple"]
    assert urls(found) == expected
    assert [place.origin for place in found.indexes][2] == "pyproject.toml [tool.uv]"
    assert found.find_links[0].url == str(tmp_path / "app" / "wheels")
    assert found.trusted_hosts == ("h:80",)
    assert urls(load(tmp_path, files, UV_DEFAULT_INDEX="https://d/simple")) == [expected[2], "https://d/simple"]
    assert load(tmp_path, files, UV_NO_CONFIG="1").public


def test_a_projects_uv_toml_stands_before_its_pyproject(tmp_path: Path) -> None:
    files = {"app/uv.toml": "no-index = true\n", "app/pyproject.toml": '[tool.uv]\nindex-url = "https://x/simple"\n'}
    found = load(tmp_path, files)
    assert (found.indexes, found.public) == ((), False)


def test_options_in_requirement_files_stand_first_and_know_variables_and_their_folder(tmp_path: Path) -> None:
    (tmp_path / "app" / "deps" / "wheels").mkdir(parents=True)
    files = {
        "app/requirements.txt": "--extra-index-url https://${TOKEN}@x/simple\n-r deps/more.txt\nflask\n",
        "app/deps/more.txt": "-f wheels\n--find-links https://l/\n--trusted-host h\n-i https://d/simple\n--pre\n",
        USER_PIP: "[global]\nindex-url = https://user/simple\n",
    }
    found = load(tmp_path, files, TOKEN=SECRET)
    assert urls(found) == [f"https://{SECRET}@x/simple", "https://d/simple"]
    assert [place.url for place in found.find_links] == [str(tmp_path / "app/deps/wheels"), "https://l/"]
    assert found.trusted_hosts == ("h",)
    assert load(tmp_path, {"app/requirements.txt": "--no-index\n"}).indexes == ()


def test_a_vendor_folder_with_wheels_stands_for_all_indexes(tmp_path: Path) -> None:
    empty = load(tmp_path, {"app/vendor/readme": ""}, {"BP_PIP_FIND_LINKS": Setting("a b", "BP_PIP_FIND_LINKS")})
    assert empty.public
    assert [place.url for place in empty.find_links] == [str(tmp_path / "app" / name) for name in "ab"]
    full = load(tmp_path, {"app/vendor/x-1-py3-none-any.whl": ""}, PIP_EXTRA_INDEX_URL="https://more/simple")
    assert (full.public, full.indexes) == (False, ())
    assert full.find_links[0].url == str(tmp_path / "app" / "vendor")


@pytest.mark.parametrize(
    ("environment", "strategy"),
    [
        ({"PIP_EXTRA_INDEX_URL": "https://x/simple"}, "unsafe-best-match"),
        ({"UV_INDEX": "https://x/simple"}, "first-index"),
        ({"PIP_EXTRA_INDEX_URL": "https://x/simple", "UV_INDEX_STRATEGY": "first-index"}, "first-index"),
        ({"PIP_INDEX_URL": "https://x/simple"}, "first-index"),
    ],
)
def test_indexes_are_compared_as_the_tool_does_whose_settings_name_them(
    tmp_path: Path, environment: Mapping[str, str], strategy: str
) -> None:
    assert load(tmp_path, {}, **environment).strategy == strategy


def test_credentials_of_named_indexes_are_put_into_their_address_and_never_shown(tmp_path: Path) -> None:
    secrets = {"UV_INDEX_MY_CORP_USERNAME": "bot", "UV_INDEX_MY_CORP_PASSWORD": f"{SECRET}/@"}
    found = load(tmp_path, {}, UV_INDEX="my-corp=https://corp/simple", UV_DEFAULT_INDEX="https://d/simple", **secrets)
    assert urls(found) == [f"https://bot:{SECRET}%2F%40@corp/simple", "https://d/simple"]
    assert str(found.indexes[0]) == "https://corp/simple"
    assert SECRET not in repr(found)


def test_certificates_come_from_pip_then_from_the_usual_variables(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("")
    (tmp_path / "b.pem").write_text("")
    a, b = str(tmp_path / "a.pem"), str(tmp_path / "b.pem")
    assert load(tmp_path, {}, PIP_CERT=a, SSL_CERT_FILE=b).certificate == a
    assert load(tmp_path, {}, SSL_CERT_FILE=b).certificate == b


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "UV_INDEX", "PIP_FIND_LINKS"])
def test_an_index_without_tls_is_ib708_unless_it_is_trusted_or_here(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, {}, **{name: f"http://u:{SECRET}@corp:8080/simple"})
    assert (caught.value.code, caught.value.exit_code) == ("IB708", 2)
    assert SECRET not in str(vars(caught.value))
    assert load(tmp_path, {}, PIP_TRUSTED_HOST="corp:8080", **{name: "http://corp:8080/simple"})
    assert load(tmp_path, {}, **{name: "http://127.0.0.1:8080/simple"})


@pytest.mark.parametrize(
    ("files", "environment"),
    [
        ({USER_PIP: "index-url = x\n"}, {}),
        ({USER_UV: "index-url = \n"}, {}),
        ({"app/pyproject.toml": "[tool\n"}, {}),
        ({}, {"PIP_CERT": "/nonexistent.pem"}),
    ],
)
def test_a_file_that_cannot_be_read_is_ib709_and_named(
    tmp_path: Path, files: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, files, **environment)
    assert (caught.value.code, caught.value.exit_code) == ("IB709", 2)
    assert next(iter([*files, *environment.values()])).rpartition("/")[2] in caught.value.message
