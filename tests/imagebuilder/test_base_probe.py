"""What is found in the layers of a base: interpreters and their versions, glibc, certificates; and what layers hide."""

import pytest

from imagebuilder.base import probe
from imagebuilder.base.overlay import lay
from imagebuilder.base.probe import Found
from imagebuilder.base.root import Root
from layers.errors import IntegrityError
from tests import bases
from tests.bases import CERTIFICATES, DEBIAN, PYTHON, Content, Link, Special, libc, program

LOCAL = "usr/local/bin/python3.13"


def found(*layers: dict[str, Content], mode: int = 0o755, **variables: str) -> Found:
    root = Root()
    for layer in layers:
        lay(root, [bases.tar(layer, mode=mode)], probe.wanted)
    return probe.examine(root, variables, origin="base")


def versions(seen: Found) -> dict[str, str]:
    return {each.executable: each.version for each in seen.interpreters}


def test_an_image_like_the_official_one_is_understood() -> None:
    seen = found(DEBIAN, CERTIFICATES, PYTHON)
    assert versions(seen) == {f"/{LOCAL}": "3.13.5"}
    assert (seen.python, seen.glibc, seen.musl) == (f"/{LOCAL}", "2.41", False)
    assert (seen.distribution, seen.certificates) == ("debian:13", "/etc/ssl/certs/ca-certificates.crt")
    assert seen.shells == ("coreutils", "dash")


def test_an_empty_image_has_nothing() -> None:
    assert found({}) == Found((), "", "", False, "", "", ())


def test_what_was_found_reads_back_from_the_cache() -> None:
    from layers import canonical

    seen = found(DEBIAN, CERTIFICATES, PYTHON)
    assert probe.from_json(canonical.encode(probe.to_json(seen)), origin="base") == seen


def test_the_python_that_python3_stands_for_comes_first_then_the_newest() -> None:
    programs = {f"usr/bin/python3.{minor}": program(f"3.{minor}.1") for minor in (9, 14, 11, 13)}
    seen = found({**programs, "usr/bin/python3": Link("python3.11")})
    assert list(versions(seen).values()) == ["3.11.1", "3.14.1", "3.13.1", "3.9.1"]


def test_folders_count_in_the_order_of_path() -> None:
    debian = {"usr/bin/python3.13": program("3.13.2"), **PYTHON}
    assert list(versions(found(debian))) == [f"/{LOCAL}", "/usr/bin/python3.13"]
    assert list(versions(found(debian, PATH="/usr/bin:/usr/local/bin"))) == ["/usr/bin/python3.13", f"/{LOCAL}"]
    assert list(versions(found(debian, PATH="relative:/usr/bin"))) == ["/usr/bin/python3.13"]
    conda = {"opt/conda/bin/python3.12": program("3.12.9")}
    assert versions(found(conda, PATH="/opt/conda/bin:/bin")) == {"/opt/conda/bin/python3.12": "3.12.9"}
    assert versions(found(conda)) == {}


def test_an_interpreter_is_where_its_links_lead_and_counts_once() -> None:
    place = "opt/python/bin/python3.13"
    seen = found({place: program("3.13.1")}, {"bin": Link("usr/bin"), "usr/bin/python3.13": Link(f"/{place}")})
    assert versions(seen) == {f"/{place}": "3.13.1"}


def test_an_interpreter_that_only_root_can_run_does_not_count() -> None:
    assert versions(found({LOCAL: program("3.13.5")}, mode=0o750)) == {}
    home = "root/.local/share/uv/python/bin/python3.13"
    assert versions(found({home: program("3.13.5"), LOCAL: Link(f"/{home}")})) == {}


@pytest.mark.parametrize(
    ("files", "variables", "version"),
    [
        ({LOCAL: program("3.13.5")}, {"PYTHON_VERSION": "3.13.0"}, "3.13.5"),
        ({LOCAL: program("3.13.0rc2")}, {}, "3.13.0rc2"),
        ({LOCAL: b"\x7fELF\x003.13.5+\0"}, {}, "3.13.5"),
        ({LOCAL: b"small", "usr/local/lib/libpython3.13.so.1.0": program("3.13.4")}, {}, "3.13.4"),
        (
            {LOCAL: b"small", "usr/local/include/python3.13/patchlevel.h": b'#define PY_VERSION      "3.13.3"\n'},
            {},
            "3.13.3",
        ),
        ({LOCAL: b"small"}, {"PYTHON_VERSION": "3.13.2"}, "3.13.2"),
    ],
    ids=["program", "pre-release", "between releases", "library", "header", "variable"],
)
def test_the_version_is_found(files: dict[str, Content], variables: dict[str, str], version: str) -> None:
    assert versions(found(files, **variables)) == {f"/{LOCAL}": version}


@pytest.mark.parametrize(
    ("files", "variable"),
    [
        ({LOCAL: program("3.46.1")}, ""),
        ({LOCAL: b"small"}, "3.12.1"),
        ({LOCAL: b"small"}, "3.13"),
        ({LOCAL: b"small", "opt/lib/libpython3.13.so.1.0": program("3.13.4")}, ""),
    ],
    ids=["of something else", "of another series", "not a full one", "of a library elsewhere"],
)
def test_an_interpreter_without_a_version_does_not_count(files: dict[str, Content], variable: str) -> None:
    assert versions(found(files, PYTHON_VERSION=variable)) == {}


def test_glibc_is_found_under_its_old_name_and_not_among_cross_compilers() -> None:
    old = {"lib/x86_64-linux-gnu/libc.so.6": Link("libc-2.31.so"), "lib/x86_64-linux-gnu/libc-2.31.so": libc("2.31")}
    assert found(old).glibc == "2.31"
    assert found({"usr/lib64/libc.so.6": libc("2.34")}).glibc == "2.34"
    assert found({"usr/aarch64-linux-gnu/lib/libc.so.6": libc("2.41")}).glibc == ""


def test_musl_is_recognised() -> None:
    seen = found({"lib/ld-musl-x86_64.so.1": b"\x7fELF", "etc/os-release": b"ID=alpine\nVERSION_ID=3.22.1\n"})
    assert (seen.glibc, seen.musl, seen.distribution) == ("", True, "alpine:3.22.1")


def test_certificates_are_found_where_links_lead() -> None:
    bundle = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
    seen = found({"etc/pki/tls/certs/ca-bundle.crt": Link(f"/{bundle}"), bundle: b"x"})
    assert seen.certificates == "/etc/pki/tls/certs/ca-bundle.crt"
    assert found({"etc/pki/tls/certs/ca-bundle.crt": Link("/gone")}).certificates == ""


@pytest.mark.parametrize(
    "upper",
    [
        {"usr/local/bin/.wh.python3.13": b""},
        {"usr/local/.wh.bin": b""},
        {".wh.usr": b""},
        {"usr/local/bin/.wh..wh..opq": b""},
        {"usr/.wh..wh..opq": b""},
        {".wh..wh..opq": b""},
        {"usr/local": b"a file now"},
        {"usr/local/bin": Link("/elsewhere")},
        {LOCAL: None},
        {LOCAL: b"small"},
    ],
    ids=str,
)
def test_what_an_upper_layer_hides_is_gone(upper: dict[str, Content]) -> None:
    assert versions(found(PYTHON, upper)) == {}


def test_a_whiteout_hides_nothing_of_its_own_layer_or_of_one_above() -> None:
    upper: dict[str, Content] = {LOCAL: program("3.13.7"), "usr/local/bin/.wh..wh..opq": b""}
    assert versions(found(PYTHON, upper)) == {f"/{LOCAL}": "3.13.7"}
    assert versions(found(PYTHON, {"usr/.wh.local": b""}, PYTHON)) == {f"/{LOCAL}": "3.13.5"}
    assert versions(found(PYTHON, {"usr/local/.wh.binary": b"", "usr/local/bi/.wh..wh..opq": b""})) != {}


def test_a_whiteout_is_one_whatever_is_in_the_name() -> None:
    root = Root()
    lay(root, [bases.tar({"a\n/bin/sh": b""})], probe.wanted)
    assert "a\n/bin/sh" in root.entries
    lay(root, [bases.tar({"a\n/.wh.bin": b""})], probe.wanted)
    assert root.entries == {}


@pytest.mark.parametrize("folder", ["a b", "a\nb", "é", "a'b"])
def test_an_interpreter_that_no_script_could_name_does_not_count(folder: str) -> None:
    assert versions(found({f"{folder}/bin/python3.13": program("3.13.5")}, PATH=f"/{folder}/bin")) == {}


def test_a_folder_takes_the_place_of_a_link() -> None:
    linked: dict[str, Content] = {"opt/bin/python3.13": program("3.13.1"), "usr/local/bin": Link("/opt/bin")}
    assert versions(found(linked)) == {"/opt/bin/python3.13": "3.13.1"}
    assert versions(found(linked, {"usr/local/bin": None})) == {}


def test_a_hard_link_is_the_file_it_names() -> None:
    linked: dict[str, Content] = {LOCAL: program("3.13.5"), "usr/bin/python3.13": Link(LOCAL, hard=True)}
    assert versions(found(linked)) == {f"/{LOCAL}": "3.13.5", "/usr/bin/python3.13": "3.13.5"}


def test_devices_and_pipes_are_passed_over() -> None:
    seen = found({"dev/null": Special(), "run/pipe": Special(b"6"), **PYTHON})
    assert versions(seen) == {f"/{LOCAL}": "3.13.5"}


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/.wh...", ".wh..", ".wh.", "a/.wh.b/c", ".wh..wh.", ".wh..wh..."]
)
def test_a_layer_with_an_unsafe_name_is_refused(path: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        found({path: b""})
    assert caught.value.code == "IB558"


def test_a_loop_of_links_leads_nowhere() -> None:
    seen = found({"usr/bin/python3": Link("python3.13"), "usr/bin/python3.13": Link("python3"), "etc": Link("etc")})
    assert versions(seen) == {}
