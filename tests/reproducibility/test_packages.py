"""Packages in other versions are told once, and their files follow from them; so do bytecode and RECORD."""

import importlib.util
import marshal
from pathlib import Path

import pytest

from reproducibility.difference import Comparison
from tests.reproducibility.subjects import Item, causes, diff, file, folder, image, layer

SITE = "opt/venv/lib/python3.13/site-packages"


def wheel(version: str, *modules: str, name: str = "Shop_Core", record: bool = True) -> list[Item]:
    info = f"{SITE}/{name}-{version}.dist-info"
    paths = [f"shop/{module}.py" for module in modules]
    lines = [
        *(f"{path},sha256=x{version},1" for path in paths),
        f'"{name}-{version}.dist-info/RECORD",,',
        "../../../bin/shop,,",
    ]
    return [
        folder(f"{SITE}/shop"),
        *(file(f"{SITE}/{path}", f"version = '{version}'\n") for path in paths),
        file("opt/venv/bin/shop", f"# {version}"),
        folder(info),
        file(f"{info}/METADATA", f"Name: shop\nVersion: {version}\n"),
        *([file(f"{info}/RECORD", "\n".join(lines))] if record else []),
    ]


def told(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    return [(each.cause, each.note, each.left, each.right) for each in comparison.everything if not each.follows]


def test_another_version_of_a_python_package_is_one_difference(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(wheel("1.2", "a", "b", "old")), image(wheel("1.3", "a", "b", "new")))
    assert told(comparison) == [("python-package", "shop-core", "1.2", "1.3")]
    assert causes(comparison) == {"python-package": [f"{SITE}/Shop_Core-1.2.dist-info"]}
    assert {each.cause for each in comparison.everything if each.part == "file"} == {"python-package"}


def test_a_python_package_of_one_side_is_one_difference(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image([folder(SITE)]), image([folder(SITE), *wheel("1.3", "a")]))
    assert told(comparison) == [("python-package", "shop-core", "", "1.3")]


def test_packages_in_layers_of_their_own_are_recognised(tmp_path: Path) -> None:
    left = image([file("app")], wheel("1.2", "a"), wheel("5", "x", name="other"))
    right = image([file("app")], wheel("5", "x", name="other"), wheel("1.3", "b", "c"))
    assert ("python-package", "shop-core", "1.2", "1.3") in told(diff(tmp_path, left, right))


def test_bytecode_of_a_package_follows_with_it(tmp_path: Path) -> None:
    bytecode = file(f"{SITE}/shop/__pycache__/a.cpython-313.pyc", "x")
    comparison = diff(tmp_path, image(wheel("1.2", "a")), image([*wheel("1.3", "a"), bytecode]))
    assert told(comparison) == [("python-package", "shop-core", "1.2", "1.3")]


def test_equal_versions_with_other_files_are_no_other_package(tmp_path: Path) -> None:
    other = [*wheel("1.2", "a")[:1], file(f"{SITE}/shop/a.py", "patched = 1\n"), *wheel("1.2", "a")[2:]]
    assert causes(diff(tmp_path, image(wheel("1.2", "a")), image(other))) == {"source": [f"{SITE}/shop/a.py"]}


def test_a_package_without_a_record_is_told_and_its_own_folder_follows(tmp_path: Path) -> None:
    sides = [image(wheel(version, "a", record=False)) for version in ("1.2", "1.3")]
    found = causes(diff(tmp_path, *sides))
    assert found["python-package"] == [f"{SITE}/Shop_Core-1.2.dist-info"]
    assert [path for paths in found.values() for path in paths if "dist-info/" in path] == []


def stanza(name: str, version: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"


def test_another_version_of_a_debian_package_is_one_difference(tmp_path: Path) -> None:
    def system(version: str, library: str) -> list[Item]:
        return [
            file("var/lib/dpkg/status", stanza("zlib1g", version) + stanza("base-files", "13")),
            file("var/lib/dpkg/info/zlib1g:amd64.list", f"/.\n/lib\n/lib/{library}\n/usr/share/doc/zlib1g\n"),
            file(f"usr/lib/{library}", version),
            file("usr/share/doc/zlib1g", version),
        ]

    comparison = diff(tmp_path, image(system("1.3", "libz.so.1.3")), image(system("1.4", "libz.so.1.4")))
    assert told(comparison) == [("os-package", "zlib1g", "1.3", "1.4")]
    assert causes(comparison) == {"os-package": ["var/lib/dpkg/status!/zlib1g"]}


def test_packages_without_dpkg_are_read_from_their_own_files(tmp_path: Path) -> None:
    def system(version: str) -> list[Item]:
        return [
            file("var/lib/dpkg/status.d/zlib1g", stanza("zlib1g", version)),
            file("var/lib/dpkg/status.d/zlib1g.md5sums", f"{version}  usr/lib/libz.so\n"),
            file("usr/lib/libz.so", version),
        ]

    comparison = diff(tmp_path, image(system("1.3")), image(system("1.4")))
    assert causes(comparison) == {"os-package": ["var/lib/dpkg/status.d/zlib1g"]}


def test_a_layer_that_only_one_side_has_does_not_make_its_whole_database_new(tmp_path: Path) -> None:
    base = [file("var/lib/dpkg/status", stanza("base-files", "13"))]
    upper = [file("var/lib/dpkg/status", stanza("base-files", "13") + stanza("curl", "8"))]
    assert "os-package" not in causes(diff(tmp_path, image(base), image(base, upper)))


def test_another_python_is_one_difference(tmp_path: Path) -> None:
    def python(version: str) -> list[Item]:
        library = f"usr/local/lib/python{version}"
        return [
            file(f"usr/local/bin/python{version}", version),
            folder(library),
            file(f"{library}/os.py", version),
            file(f"app/__pycache__/a.cpython-{version.replace('.', '')}.pyc", version),
            file(f"opt/lib/python{version}/site-packages/x-1.dist-info/METADATA", "x"),
        ]

    comparison = diff(tmp_path, image(python("3.12")), image(python("3.13")))
    assert told(comparison) == [("interpreter", "Python", "3.12", "3.13")]


def compiled(source: str) -> bytes:
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(source, "a.py", "exec"))


def test_bytecode_follows_from_its_source_and_a_record_from_what_it_lists(tmp_path: Path) -> None:
    def app(source: str, number: str, *, shipped: bool = True) -> list[Item]:
        return [
            *([file("app/a.py", source)] if shipped else []),
            file("app/__pycache__/a.cpython-311.pyc", compiled(source)),
            file("app/x-1.dist-info/RECORD", f"a.py,sha256={number},5\n"),
        ]

    both = diff(tmp_path, image(app("a = 1\n", "1")), image(app("a = 2\n", "2")))
    assert causes(both) == {"source": ["app/a.py"]}
    alone = [image(app(f"a = {number}\n", number, shipped=False)) for number in ("1", "2")]
    found = causes(diff(tmp_path, *alone))
    assert found["record"] == ["app/x-1.dist-info/RECORD"]
    assert found["pyc-code"] == ["app/__pycache__/a.cpython-311.pyc"]


@pytest.mark.parametrize("content", ["\xff,,\n", '"', ",,", "../../../../../etc/passwd,,\n/abs,,\n", "a\0b,,"])
def test_hostile_records_and_databases_are_read_as_far_as_they_go(tmp_path: Path, content: str) -> None:
    sides = [
        image(
            [
                file(f"{SITE}/x-{version}.dist-info/RECORD", content + version),
                file("var/lib/dpkg/status", f"Package: {content}\nVersion: {version}\nArchitecture: \n"),
                file("etc/passwd", version),
            ]
        )
        for version in ("1", "2")
    ]
    assert causes(diff(tmp_path, *sides))["python-package"] == [f"{SITE}/x-1.dist-info"]


def test_the_layer_of_a_package_is_told(tmp_path: Path) -> None:
    sides = [image(layer([file("base")], name="base"), layer(wheel(version, "a"), name="site")) for version in "12"]
    assert {each.layer for each in diff(tmp_path, *sides).everything if each.cause == "python-package"} == {"1 site"}
