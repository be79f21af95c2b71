"""Resolution by the real uv against a loopback index."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildpacks import pip_install
from buildpacks.api import App, Circumstances, Interpreter, PinContext, PinnedWheel, Pins, Target
from imagebuilder import index as index_settings
from imagebuilder import uv_program
from imagebuilder.fetch import Downloader
from imagebuilder.index import IndexSettings, Place
from imagebuilder.resolver import UvResolver
from layers.blobs import BlobStore
from layers.descriptor import Platform
from layers.errors import BuildError, IntegrityError, StorageError
from tests import index
from tests.index import Wheel

SECRET = "canary-41e"
PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test")
AMD64 = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
ARM64 = Target(Platform("linux", "arm64"), "debian:trixie", (2, 41))
WHEELS = (
    index.wheel("shop", "2.0", requires=["till>=1", "card; extra == 'pay'"], extras=["pay"]),
    index.wheel("till", "1.0"),
    index.wheel("till", "1.1"),
    index.wheel("card", requires=["ghost; sys_platform == 'win32'", "chip; platform_machine == 'x86_64'"]),
    index.wheel("chip", tag="cp313-cp313-manylinux_2_28_x86_64"),
    index.wheel("chip", tag="cp313-cp313-manylinux_2_28_aarch64"),
    index.wheel("chip", tag="cp313-cp313-manylinux_2_17_x86_64"),
    index.wheel("old", tag="cp39-cp39-manylinux_2_17_x86_64"),
    index.wheel("musl", tag="cp313-cp313-musllinux_1_2_x86_64"),
    index.wheel("future", python=">=3.99"),
    index.wheel("needy", requires=["old>=1"]),
    index.wheel("picky", requires=["till<1"]),
    Wheel("source-1.0.tar.gz", b"source"),
)


def resolver(folder: Path, url: str = "", *, offline: bool = False, **environment: str) -> UvResolver:
    settings = IndexSettings((Place(url, "a test"),) if url else (), public=False)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "UV_HTTP_RETRIES": "0", **environment}
    return UvResolver(Downloader(settings, offline=offline, environment=environment, backoff_s=0.001), folder / "cache")


def pin(
    folder: Path,
    text: str,
    resolves: UvResolver,
    *,
    target: Target = AMD64,
    previous: tuple[PinnedWheel, ...] = (),
    more: Mapping[str, str] | None = None,
) -> list[str]:
    """Pin requirements as pip-install does; return `name version file` of each wheel."""
    for name, content in {"requirements.txt": text, **(more or {})}.items():
        (folder / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "app" / name).write_text(content)
    context = PinContext(App(folder / "app"), (), target, tuple, PYTHON, resolves, Pins(wheels=previous))
    pins = pip_install.pin(context)
    return [f"{one.name} {one.version} {one.source.name.split('-', 2)[2]}" for one in pins.wheels]


def test_extras_markers_constraints_and_nested_files_resolve_for_the_target(tmp_path: Path) -> None:
    more = {"deps/all.txt": "-c pins.txt\nshop[pay]\nghost ; python_version < '3'\n", "deps/pins.txt": "till==1.0\n"}
    with index.serve(*WHEELS) as served:
        amd64 = pin(tmp_path, "-r deps/all.txt", resolver(tmp_path, served.url), more=more)
        arm64 = pin(tmp_path, "-r deps/all.txt", resolver(tmp_path, served.url), more=more, target=ARM64)
    assert arm64 == ["card 1.0 py3-none-any.whl", "shop 2.0 py3-none-any.whl", "till 1.0 py3-none-any.whl"]
    assert amd64 == [arm64[0], "chip 1.0 cp313-cp313-manylinux_2_28_x86_64.whl", *arm64[1:]]


def test_html_pages_without_sizes_give_pins_without_sizes(tmp_path: Path) -> None:
    with index.serve(*WHEELS, html=True) as served:
        assert pin(tmp_path, "till", resolver(tmp_path, served.url)) == ["till 1.1 py3-none-any.whl"]


def test_old_pins_are_kept_while_they_fit(tmp_path: Path) -> None:
    old = (PinnedWheel("till", "1.0", WHEELS[1].source),)
    with index.serve(*WHEELS) as served:
        resolves = resolver(tmp_path, served.url)
        assert pin(tmp_path, "till", resolves, previous=old) == ["till 1.0 py3-none-any.whl"]
        assert pin(tmp_path, "till>1.0", resolves, previous=old) == ["till 1.1 py3-none-any.whl"]


def test_of_several_files_the_one_whose_hash_is_allowed_is_chosen(tmp_path: Path) -> None:
    older = WHEELS[6]
    with index.serve(*WHEELS) as served:
        line = f"chip==1.0 --hash=sha256:{older.sha256} --hash=sha256:{'0' * 64}"
        found = pin(tmp_path, line, resolver(tmp_path, served.url))
    assert found == ["chip 1.0 cp313-cp313-manylinux_2_17_x86_64.whl"]


def test_a_hash_that_no_file_has_is_an_integrity_error_ib409(tmp_path: Path) -> None:
    with index.serve(*WHEELS) as served, pytest.raises(IntegrityError) as caught:
        pin(tmp_path, f"till==1.0 --hash=sha256:{'0' * 64}", resolver(tmp_path, served.url))
    assert (caught.value.code, caught.value.exit_code) == ("IB409", 6)
    assert "till 1.0" in caught.value.message


@pytest.mark.parametrize("text", ["--require-hashes\nchip==1.0\n", "chip==1.0\ntill==1.0 --hash={hash}\n"])
def test_hashes_are_for_all_packages_or_for_none_ib412(tmp_path: Path, text: str) -> None:
    with index.serve(*WHEELS) as served, pytest.raises(IntegrityError, match=r"none for chip==1\.0") as caught:
        pin(tmp_path, text.format(hash=f"sha256:{WHEELS[1].sha256}"), resolver(tmp_path, served.url))
    assert (caught.value.code, caught.value.exit_code) == ("IB412", 6)


def test_a_relative_cache_folder_is_not_looked_for_in_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with index.serve(*WHEELS) as served:
        relative = replace(resolver(tmp_path, served.url), folder=Path("kept") / "uv")
        assert pin(tmp_path, "till==1.0\n", relative) == ["till 1.0 py3-none-any.whl"]
    assert (tmp_path / "kept" / "uv" / "cache").is_dir()
    assert [path.name for path in (tmp_path / "app").iterdir()] == ["requirements.txt"]


def test_a_wheel_by_address_is_pinned_by_its_hash_and_its_secret_stays_out(tmp_path: Path) -> None:
    with index.serve(*WHEELS, user=f"bot:{SECRET}") as served:
        address = served.url.replace("simple", "files").replace("//", "//bot:${TOKEN}@") + f"/{WHEELS[1].filename}"
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "requirements.txt").write_text(f"till @ {address}\n")
        resolves = resolver(tmp_path, served.url, TOKEN=SECRET)
        app = App(tmp_path / "app")
        pins = pip_install.pin(PinContext(app, (), AMD64, tuple, PYTHON, resolves))
    source = pins.wheels[0].source
    assert (source.kind, source.locator, source.digest.hex) == ("url", address, WHEELS[1].sha256)
    assert SECRET not in repr(pins)


@pytest.mark.parametrize(
    ("text", "code", "exit_code", "words"),
    [
        ("no-such-thing", "IB405", 4, ["no-such-thing"]),
        ("till==9", "IB405", 4, ["till==9"]),
        ("till>=1.1\ntill<1", "IB406", 4, []),
        ("picky\nshop", "IB406", 4, ["till"]),
        ("old", "IB407", 4, ["old", "cp313", "cp39-cp39"]),
        ("musl==1.0", "IB407", 4, ["musl", "x86_64", "glibc 2.41", "musllinux"]),
        ("old<2\nshop", "IB407", 4, ["old", "cp39-cp39"]),
        ("needy", "IB407", 4, ["old", "cp39-cp39"]),
        ("source", "IB407", 4, ["source", "only source"]),
        ("future", "IB408", 4, [">=3.99"]),
    ],
)
def test_requirements_that_cannot_be_met_say_why(
    tmp_path: Path, text: str, code: str, exit_code: int, words: list[str]
) -> None:
    with index.serve(*WHEELS) as served, pytest.raises(BuildError) as caught:
        pin(tmp_path, text, resolver(tmp_path, served.url))
    error = caught.value
    assert (error.code, error.exit_code) == (code, exit_code), (error.message, error.details)
    assert len(error.details) <= 2
    assert [word for word in words if word not in f"{error.message} {error.details}"] == []


@pytest.mark.parametrize(
    ("user", "faults", "code", "exit_code"),
    [
        (f"wrong:{SECRET}@", [], "IB702", 5),
        ("", [], "IB702", 5),
        (f"user:{SECRET}@", ["403"] * 9, "IB702", 5),
        (f"user:{SECRET}@", ["503"] * 9, "IB701", 75),
        (f"user:{SECRET}@", [], "", 0),
    ],
)
def test_an_index_that_refuses_or_fails_is_named_without_its_password(
    tmp_path: Path, user: str, faults: list[str], code: str, exit_code: int
) -> None:
    with index.serve(*WHEELS, user=f"user:{SECRET}", faults={"/simple/": list(faults)}) as served:
        resolves = resolver(tmp_path, served.url.replace("//", f"//{user}"))
        if not code:
            assert pin(tmp_path, "till", resolves)
            return
        with pytest.raises(BuildError) as caught:
            pin(tmp_path, "till", resolves)
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code), caught.value.message
    assert "127.0.0.1" in caught.value.message
    assert SECRET not in str(vars(caught.value))


def test_an_index_that_is_not_there_is_transient_ib701(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        pin(tmp_path, "till", resolver(tmp_path, f"http://u:{SECRET}@127.0.0.1:9/simple"))
    assert (caught.value.code, caught.value.exit_code) == ("IB701", 75)
    assert "127.0.0.1:9" in caught.value.message
    assert SECRET not in str(vars(caught.value))


def test_a_wheel_by_address_that_is_gone_is_ib703_and_one_that_is_no_wheel_ib410(tmp_path: Path) -> None:
    with index.serve(*WHEELS) as served:
        files = served.url.replace("simple", "files")
        with pytest.raises(BuildError) as gone:
            pin(tmp_path, f"{files}/gone-1.0-py3-none-any.whl", resolver(tmp_path, served.url))
        served.wheels = (Wheel("strange-1.0-py3-none-any.whl", b"strange"),)
        with pytest.raises(BuildError) as strange:
            pin(tmp_path, f"{files}/strange-1.0-py3-none-any.whl", resolver(tmp_path, served.url))
    assert gone.value.code == "IB703"
    assert strange.value.code == "IB410"


def test_the_hash_in_an_address_is_pinned_and_kept_to_when_the_file_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    with index.serve(*WHEELS) as served:
        address = served.url.replace("simple", "files") + f"/{WHEELS[1].filename}#sha256={'0' * 64}"
        (tmp_path / "app" / "requirements.txt").write_text(address)
        resolves = resolver(tmp_path, served.url)
        pins = pip_install.pin(PinContext(App(tmp_path / "app"), (), AMD64, tuple, PYTHON, resolves))
        with pytest.raises(IntegrityError) as caught:
            resolves.downloader.fetch_all([one.source for one in pins.wheels], BlobStore(tmp_path / "store"))
    assert caught.value.code == "IB704"


def test_offline_uses_folders_and_says_ib700_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / WHEELS[1].filename).write_bytes(WHEELS[1].content)
    settings = IndexSettings(find_links=(Place(str(tmp_path / "wheels"), "a test"),), public=False)
    here = UvResolver(Downloader(settings, offline=True), tmp_path / "cache")
    assert pin(tmp_path, "till", here) == ["till 1.0 py3-none-any.whl"]
    with pytest.raises(BuildError) as caught:
        pin(tmp_path, "till", resolver(tmp_path, "http://127.0.0.1:9/simple", offline=True))
    assert (caught.value.code, caught.value.exit_code) == ("IB700", 4)


def test_certificates_and_trusted_hosts_count_for_uv_too(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    certificate = index.certificate(tmp_path)
    with index.serve(*WHEELS, tls=certificate) as served:
        plain = resolver(tmp_path, served.url)
        settings = plain.downloader.index
        for trusting in (
            replace(settings, certificate=str(certificate)),
            replace(settings, trusted_hosts=(served.url.split("/")[2],)),
        ):
            trusts = replace(plain, downloader=replace(plain.downloader, index=trusting))
            assert pin(tmp_path, "till", trusts)
        with pytest.raises(BuildError) as caught:
            pin(tmp_path, "card", plain)
    assert (caught.value.code, caught.value.exit_code) == ("IB705", 5)


def test_a_cache_that_cannot_be_written_is_ib601(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError) as caught:
        pin(tmp_path, "till", resolver(tmp_path))
    assert caught.value.code == "IB601"


def test_secrets_reach_uv_through_its_environment_and_not_its_arguments(tmp_path: Path) -> None:
    url = f"https://bot:{SECRET}@corp.example/simple"
    resolves = resolver(tmp_path, url, UV_PRERELEASE="allow", UV_EXCLUDE_NEWER="1999-01-01", TOKEN="t")
    arguments = resolves._arguments(tmp_path / "pins", Circumstances(PYTHON, AMD64))
    environment = resolves._environment()
    assert SECRET not in " ".join(arguments)
    assert environment["UV_DEFAULT_INDEX"] == url
    assert environment["TOKEN"] == "t"
    assert {"UV_PRERELEASE", "UV_EXCLUDE_NEWER"} & {*environment} == set()
    assert SECRET not in repr(resolves)


def test_the_hosts_own_python_and_platform_do_not_matter(tmp_path: Path) -> None:
    assert sys.version_info[:2] != (3, 99)
    with index.serve(*WHEELS) as served:
        resolves = resolver(tmp_path, served.url)
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "requirements.txt").write_text("future\ntill\n")
        future = Interpreter("3.99.1", "/usr/bin/python3.99", "a test")
        pins = pip_install.pin(PinContext(App(tmp_path / "app"), (), ARM64, tuple, future, resolves))
    assert [one.name for one in pins.wheels] == ["future", "till"]


def test_the_default_index_is_the_one_that_uv_names() -> None:
    assert uv_program.default_index().startswith("https://")
    assert uv_program.default_index().endswith("/simple")
    with pytest.raises(BuildError) as caught:
        uv_program.named_default("--default-index <URL>")
    assert caught.value.code == "IB710"


@pytest.mark.network
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flask\ngunicorn", {"flask", "gunicorn", "werkzeug", "jinja2", "markupsafe", "click"}),
        ("pandas", {"pandas", "numpy", "python-dateutil"}),
        ("-r more.txt\n-c pins.txt", {"uvicorn", "httptools", "websockets"}),
    ],
)
def test_the_real_index_resolves_as_this_machine_is_configured(tmp_path: Path, text: str, expected: set[str]) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").write_text(text)
    (app / "more.txt").write_text("uvicorn[standard] ; sys_platform == 'linux'\npywin32 ; sys_platform == 'win32'\n")
    (app / "pins.txt").write_text("uvicorn<1\n")
    settings = index_settings.load(App(app), os.environ, home=Path.home(), prefix=Path("/"))
    resolves = UvResolver(Downloader(settings, environment=os.environ), tmp_path / "cache")
    for target in (AMD64, ARM64):
        pins = pip_install.pin(PinContext(App(app), (), target, tuple, PYTHON, resolves))
        assert expected <= {one.name for one in pins.wheels}
        assert "pywin32" not in {one.name for one in pins.wheels}
