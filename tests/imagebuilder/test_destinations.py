"""Where images go, and where the cache lies."""

from pathlib import Path

import pytest

from imagebuilder import arguments, config, destinations, suppliers
from imagebuilder.cache import Cache
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest, Output
from imagebuilder.suppliers import Suppliers
from layers.descriptor import Platform
from layers.errors import UsageError


def outputs(*wanted: str, load: str = "") -> tuple[Output, ...]:
    return destinations.outputs(wanted, load=load, name="shop", tags=("team/shop:1", "shop:2"))


def test_without_a_destination_the_image_goes_to_a_layout_in_dist() -> None:
    assert outputs() == (Output("oci", "dist/shop.oci"),)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("oci:out", Output("oci", "out")),
        ("oci:a/b:1.0", Output("oci", "a/b", "1.0")),
        ("archive:a:b.tar", Output("archive", "a:b.tar")),
        ("docker:team/shop:1", Output("docker", "team/shop:1")),
        ("podman:shop", Output("podman", "shop")),
    ],
)
def test_a_destination_is_written_as_it_is_shown(text: str, output: Output) -> None:
    assert outputs(text) == (output,)
    assert str(output) == text


def test_load_takes_the_first_name() -> None:
    assert outputs(load="docker") == (Output("docker", "team/shop:1"),)
    assert outputs("oci:x", "oci:x", load="podman") == (Output("oci", "x"), Output("podman", "team/shop:1"))


@pytest.mark.parametrize("text", ["", "dist", "oci:", "ocii:x", "registry:x", "oci:a\nb", "archive:a\x1b[2J"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        outputs(text)
    assert caught.value.code == "IB114"


def test_a_misspelled_type_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="ocii") as caught:
        outputs("ocii:x")
    assert caught.value.hint == "did you mean `oci:`?"


def test_names_are_made_fit_for_a_repository() -> None:
    assert destinations.normalised("My Shop_2.0 (new)") == "my-shop-2-0-new"
    assert destinations.normalised("日本") == "app"
    assert len(destinations.normalised("x" * 300)) == 128


def test_what_is_written_into_the_application_is_known() -> None:
    source = Path("apps/shop")
    request = BuildRequest(
        source=source,
        name="shop",
        platform=Platform("linux", "amd64"),
        outputs=(Output("oci", "apps/shop/out"), Output("archive", "elsewhere.tar"), Output("docker", "apps")),
        digest_file=source / "digest.txt",
        cache_dir=source,
    )
    assert destinations.written_into(request) == ("digest.txt", "out")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/imagebuilder"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/imagebuilder"),
        ({"HOME": "/h"}, "/h/.cache/imagebuilder"),
    ],
)
def test_the_cache_lies_where_the_xdg_specification_says(environment: dict[str, str], folder: str) -> None:
    assert destinations.cache_dir("", environment) == Path(folder)
    assert destinations.cache_dir("mine", environment) == Path("mine")


def test_without_home_the_user_database_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    assert destinations.cache_dir("", {}) == Path("~").expanduser() / ".cache" / "imagebuilder"


def test_a_user_without_a_home_is_told_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")  # what expanduser leaves for a user that no database knows
    with pytest.raises(UsageError) as caught:
        destinations.cache_dir("", {})
    assert caught.value.code == "IB110"
    assert destinations.user_file({}) is None


def test_a_user_without_a_home_builds_with_the_indexes_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "~")
    assert destinations.home({}) is None
    chosen = config.choose(arguments.parse(["build", str(tmp_path), f"--cache-dir={tmp_path}/cache"], ""), {})
    request = config.load(chosen).request
    assert isinstance(suppliers.suppliers(request, Cache(request.cache_dir), Progress()), Suppliers)
