"""Packages become layers: where files go, what is left out, what maintainer scripts would have made."""

import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from buildpacks.api import LayerSpec
from imagebuilder.base import debian
from imagebuilder.base.alternatives import Alternative, alternatives
from imagebuilder.base.debian import BasePins, PinnedDeb
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.layer import write_layer
from tests import debs
from tests.debs import Member, Package, file, folder, hardlink, symlink

MULTIARCH = "usr/lib/x86_64-linux-gnu"
LIBC = debs.package(
    "libc6",
    folder("./usr/lib64/"),
    file(
        "./etc/ld.so.conf.d/x86_64-linux-gnu.conf", b"# Multiarch\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n"
    ),
    file(f"./{MULTIARCH}/libc.so.6", debs.shared_object("libc.so.6"), mode=0o755),
)


class Made:
    """The layers of some tiers of packages, written and read back."""

    def __init__(self, place: Path, *tiers: Sequence[Package], architecture: str = "amd64") -> None:
        self.store = BlobStore(place / "store")
        self.warnings: list[str] = []
        self.pins = BasePins(
            "trixie", architecture, "", tuple(tuple(map(pinned, tier)) for tier in (*tiers, (), ())[:3])
        )
        files = {}
        for package in (package for tier in tiers for package in tier):
            path = place / package.file_name
            path.write_bytes(package.content)
            files[Digest.of(package.content)] = path
        scratch = place / "scratch"
        scratch.mkdir(exist_ok=True)
        self.specs: tuple[LayerSpec, ...] = debian.layer_specs(self.pins, scratch=scratch, warn=self.warnings.append)
        self.layers = [
            write_layer(self.store, spec.entries(files), created_by=spec.name, compression="none")
            for spec in self.specs
        ]
        self.tars = [_members(self.store.path(layer.descriptor.digest)) for layer in self.layers]

    @property
    def tar(self) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
        """The last layer."""
        return self.tars[-1]

    def text(self, path: str) -> str:
        return self.tar[path][1].decode()

    def link(self, path: str) -> str:
        assert self.tar[path][0].issym(), path
        return self.tar[path][0].linkname


def pinned(package: Package) -> PinnedDeb:
    return PinnedDeb(
        package.name,
        package.version,
        package.architecture,
        f"debian/pool/main/x/{package.file_name}",
        Digest.of(package.content),
        len(package.content),
    )


def _members(path: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        return {
            member.name: (member, archive.extractfile(member).read() if member.isreg() else b"")  # type: ignore[union-attr]
            for member in archive
        }


def base(place: Path, *members: Member, **keywords: str) -> Made:
    return Made(place, [debs.package("a", *members, **keywords)])  # type: ignore[arg-type]


def test_the_skeleton_is_there_without_any_package_that_brings_it(tmp_path: Path) -> None:
    made = base(tmp_path)
    assert {name: made.link(name) for name in ("bin", "sbin", "lib", "lib64", "var/run", "etc/localtime")} == {
        "bin": "usr/bin",
        "sbin": "usr/sbin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        "var/run": "/run",
        "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    }
    assert (made.tar["tmp"][0].mode, made.tar["var/tmp"][0].mode, made.tar["root"][0].mode) == (0o1777, 0o1777, 0o700)
    home = made.tar["home/nonroot"][0]
    assert (home.mode, home.uid, home.gid) == (0o700, 65532, 65532)
    assert "nonroot:x:65532:65532:" in made.text("etc/passwd")
    assert "nonroot:x:65532:" in made.text("etc/group")


def test_arm64_has_no_lib64(tmp_path: Path) -> None:
    assert "lib64" not in Made(tmp_path, [debs.package("a")], architecture="arm64").tar


def test_files_of_an_unmerged_usr_move_below_usr(tmp_path: Path) -> None:
    made = base(
        tmp_path,
        folder("./bin/"),
        file("./bin/sh", b"sh", mode=0o755),
        hardlink("./bin/same", "./bin/sh"),
        symlink("./bin/other", "sh"),
        folder("./lib/"),
        file("./lib/x86_64-linux-gnu/libx.so.1", b"x"),
        folder("./var/run/"),
        file("./var/run/pid", b"1"),
    )
    assert {name: made.link(name) for name in ("bin", "lib", "var/run")} == {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "var/run": "/run",
    }
    # Of two names of one file the first by path holds its content.
    assert (made.text("usr/bin/same"), made.tar["usr/bin/sh"][0].linkname) == ("sh", "usr/bin/same")
    assert made.link("usr/bin/other") == "sh"
    assert made.text(f"{MULTIARCH}/libx.so.1") == "x"
    assert made.text("run/pid") == "1"


def test_what_a_container_never_reads_is_left_out(tmp_path: Path) -> None:
    dropped = [
        "usr/share/doc/a/changelog.gz",
        "usr/share/man/man1/a.1.gz",
        "usr/share/locale/de/LC_MESSAGES/a.mo",
        "usr/share/zoneinfo/right/UTC",
        f"{MULTIARCH}/gconv/UTF-16.so",
        "usr/lib/python3.13/EXTERNALLY-MANAGED",
        "usr/lib/python3/dist-packages/__pycache__/a.pyc",
        "usr/share/lintian/overrides/a",
    ]
    kept = [
        "usr/share/doc/a/copyright",
        "usr/share/zoneinfo/UTC",
        "usr/lib/python3/dist-packages/a.py",
        "usr/lib/locale/C.utf8/LC_CTYPE",
        "usr/share/manifest",
    ]
    made = base(
        tmp_path,
        folder("./usr/share/doc/b/"),
        symlink("./usr/share/doc/c", "a"),
        *(file(f"./{path}") for path in dropped + kept),
    )
    assert [path for path in dropped if path in made.tar] == []
    assert [path for path in kept if path not in made.tar] == []
    assert "usr/share/doc/b" not in made.tar
    assert made.link("usr/share/doc/c") == "a"  # how packages of one source share their copyright file


def test_a_hard_link_to_what_is_left_out_becomes_the_file(tmp_path: Path) -> None:
    made = base(
        tmp_path,
        file("./usr/share/zoneinfo/posix/UTC", b"TZif"),
        hardlink("./usr/share/zoneinfo/right/UTC", "./usr/share/zoneinfo/posix/UTC"),
        hardlink("./usr/share/zoneinfo/UTC", "./usr/share/zoneinfo/right/UTC"),
    )
    assert made.text("usr/share/zoneinfo/UTC") == "TZif"


def test_rights_to_run_as_somebody_else_are_taken_away_and_reported(tmp_path: Path) -> None:
    made = base(tmp_path, file("./usr/bin/su", b"su", mode=0o4755), file("./usr/bin/wall", b"w", mode=0o2755))
    assert (made.tar["usr/bin/su"][0].mode, made.tar["usr/bin/wall"][0].mode) == (0o755, 0o755)
    assert [warning.partition(" ")[0] for warning in made.warnings] == ["/usr/bin/su", "/usr/bin/wall"]


def test_each_package_is_recorded_for_scanners(tmp_path: Path) -> None:
    made = base(tmp_path, file("./bin/a"), file("./usr/share/man/man1/a.1"), version="1:2-3")
    assert made.text("var/lib/dpkg/status.d/a").startswith("Package: a\nStatus: install ok installed\nVersion: 1:2-3\n")
    assert made.text("var/lib/dpkg/status.d/a.md5sums") == f"{'0' * 32}  usr/bin/a\n"


def test_certificates_are_bundled_where_openssl_looks(tmp_path: Path) -> None:
    folder_name = "./usr/share/ca-certificates/mozilla"
    made = base(
        tmp_path, file(f"{folder_name}/B.crt", b"B"), file(f"{folder_name}/A.crt", b"A\n"), file(f"{folder_name}/x")
    )
    assert made.text("etc/ssl/certs/ca-certificates.crt") == "A\nB\n"
    assert made.link("usr/lib/ssl/cert.pem") == "/etc/ssl/certs/ca-certificates.crt"
    assert made.link("usr/lib/ssl/certs") == "/etc/ssl/certs"


def test_an_interpreter_has_its_short_names(tmp_path: Path) -> None:
    made = Made(tmp_path, [debs.package("a")], [debs.package("python3.13", file("./usr/bin/python3.13", mode=0o755))])
    assert (made.link("usr/bin/python3"), made.link("usr/bin/python")) == ("python3.13", "python3.13")


def test_a_layer_has_only_what_its_tier_adds_and_keeps_folders_as_they_were(tmp_path: Path) -> None:
    tool = debs.package("tool", folder("./root/", mode=0o755), file("./root/x"), file("./tmp/y"), folder("./home/"))
    made = Made(tmp_path, [LIBC], [tool])
    assert sorted(made.tar) == [
        "etc",
        "etc/ld.so.cache",
        "home",
        "root",
        "root/x",
        "tmp",
        "tmp/y",
        "var",
        "var/lib",
        "var/lib/dpkg",
        "var/lib/dpkg/status.d",
        "var/lib/dpkg/status.d/tool",
        "var/lib/dpkg/status.d/tool.md5sums",
    ]
    assert (made.tar["root"][0].mode, made.tar["tmp"][0].mode) == (0o700, 0o1777)


def test_each_tier_brings_a_linker_cache_of_all_libraries_so_far(tmp_path: Path) -> None:
    zlib = debs.package(
        "zlib1g",
        file(f"./{MULTIARCH}/libz.so.1.3", debs.shared_object("libz.so.1")),
        symlink(f"./{MULTIARCH}/libz.so.1", "libz.so.1.3"),
        symlink(f"./{MULTIARCH}/libz.so", "libz.so.1"),
        symlink(f"./{MULTIARCH}/libz-odd.so", "libz.so.1"),
        file("./usr/lib/libnone.so", b"INPUT(-lz)"),
        file("./opt/lib/libopt.so.1", debs.shared_object("libopt.so.1")),
    )
    extra = debs.package(
        "extra",
        file("./etc/ld.so.conf.d/opt.conf", b"include x\n/opt/lib\n"),
        file("./usr/lib/libplain.so", debs.shared_object("")),
    )
    made = Made(tmp_path, [LIBC], [zlib], [extra])
    assert [cached(tar) for tar in made.tars] == [
        ["/lib/x86_64-linux-gnu/libc.so.6"],
        ["/lib/x86_64-linux-gnu/libz.so.1", "/lib/x86_64-linux-gnu/libz.so", "/lib/x86_64-linux-gnu/libc.so.6"],
        [
            "/lib/x86_64-linux-gnu/libz.so.1",
            "/lib/x86_64-linux-gnu/libz.so",
            "/lib/libplain.so",
            "/opt/lib/libopt.so.1",
            "/lib/x86_64-linux-gnu/libc.so.6",
        ],
    ]


def cached(tar: dict[str, tuple[tarfile.TarInfo, bytes]]) -> list[str]:
    """The paths in a linker cache, in its order."""
    content = tar["etc/ld.so.cache"][1]
    count = int.from_bytes(content[20:24], "little")
    offsets = [int.from_bytes(content[56 + 24 * at : 60 + 24 * at], "little") for at in range(count)]
    return [content[offset : content.index(b"\0", offset)].decode() for offset in offsets]


BLAS_POSTINST = """#!/bin/sh
set -e
update-alternatives --install /usr/lib/x86_64-linux-gnu/libblas.so.3 \\
                    libblas.so.3-x86_64-linux-gnu /usr/lib/x86_64-linux-gnu/blas/libblas.so.3 10
exit 0
"""


def test_a_library_behind_alternatives_is_found_and_the_best_one_wins(tmp_path: Path) -> None:
    library = debs.shared_object("libblas.so.3")
    blas = debs.package("libblas3", file(f"./{MULTIARCH}/blas/libblas.so.3", library), postinst=BLAS_POSTINST)
    fast = debs.package(
        "libfast",
        file(f"./{MULTIARCH}/fast/libblas.so.3", library),
        postinst=BLAS_POSTINST.replace("/blas/lib", "/fast/lib").replace(" 10\n", " 100\n"),
    )
    absent = debs.package(
        "libabsent", postinst=BLAS_POSTINST.replace("/blas/lib", "/no/lib").replace(" 10\n", " 900\n")
    )
    made = Made(tmp_path, [LIBC], [absent, blas, fast])
    assert made.link(f"{MULTIARCH}/libblas.so.3") == "/etc/alternatives/libblas.so.3-x86_64-linux-gnu"
    assert made.link("etc/alternatives/libblas.so.3-x86_64-linux-gnu") == f"/{MULTIARCH}/fast/libblas.so.3"
    assert "/lib/x86_64-linux-gnu/libblas.so.3" in cached(made.tar)


def test_calls_of_update_alternatives_are_read_as_debhelper_writes_them() -> None:
    script = b"""
if [ "$1" = "configure" ]; then
        update-alternatives --install /usr/bin/editor editor /usr/bin/vim.tiny 15 \\
            --slave /usr/share/man/man1/editor.1.gz editor.1.gz /usr/share/man/man1/vim.1.gz
fi
update-alternatives --quiet --install "/usr/bin/x" 'x' /usr/bin/y 20
update-alternatives --remove editor /usr/bin/old
update-alternatives --install /usr/bin/$name $name /usr/bin/z 20
update-alternatives --install /usr/bin/short short
update-alternatives --install "unclosed
# update-alternatives --install /a b /c 1
"""
    assert list(alternatives(script)) == [
        Alternative(15, "/usr/bin/editor", "editor", "/usr/bin/vim.tiny"),
        Alternative(15, "/usr/share/man/man1/editor.1.gz", "editor.1.gz", "/usr/share/man/man1/vim.1.gz"),
        Alternative(20, "/usr/bin/x", "x", "/usr/bin/y"),
    ]


def test_calls_in_a_loop_are_read_with_each_value() -> None:
    script = b"""
basedir=/usr/lib/jvm/java-21
tools='java keytool'
priority=2111
for i in $tools; do
    update-alternatives \\
        --install /usr/bin/$i $i ${basedir}/bin/$i $priority \\
        $unknown --slave /usr/share/man/$i.1 $i.1 $elsewhere/$i.1
done
for prog in convert; do
    update-alternatives --install /usr/bin/$prog \\
        $prog /usr/bin/$prog-im7.q16 10000
done
"""
    assert list(alternatives(script)) == [
        Alternative(2111, "/usr/bin/java", "java", "/usr/lib/jvm/java-21/bin/java"),
        Alternative(2111, "/usr/bin/keytool", "keytool", "/usr/lib/jvm/java-21/bin/keytool"),
        Alternative(10000, "/usr/bin/convert", "convert", "/usr/bin/convert-im7.q16"),
    ]


def test_a_script_with_endless_loops_is_read_in_no_time() -> None:
    lists = "".join(f"for v{n} in {' '.join(map(str, range(100)))}; do\n" for n in range(9))
    call = "update-alternatives --install /a/" + "".join(f"$v{n}" for n in range(9)) + " n /b 1\n"
    assert len(list(alternatives((lists + call).encode()))) == 1000
    doubled = "a=xx\n" + 'a="$a$a"\n' * 60 + "update-alternatives --install /b/$a b /c 1\n"
    assert len(list(alternatives(doubled.encode()))) <= 1000


def test_links_that_lead_nowhere_or_in_a_circle_do_no_harm(tmp_path: Path) -> None:
    made = base(
        tmp_path,
        symlink(f"./{MULTIARCH}/libloop.so", "libloop.so"),
        symlink(f"./{MULTIARCH}/libout.so.1", "../../../../../../etc/../nowhere"),
        symlink("./usr/a", "b"),
        symlink("./usr/b", "a"),
    )
    assert made.link("usr/a") == "b"


def test_two_packages_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="usr/bin/x"):
        Made(tmp_path, [debs.package("a", file("./usr/bin/x", b"1")), debs.package("b", file("./bin/x", b"2"))])


def test_a_package_below_a_link_of_another_lands_where_the_link_leads(tmp_path: Path) -> None:
    made = Made(
        tmp_path, [debs.package("a", symlink("./srv", "../../../usr/share"))], [debs.package("b", file("./srv/x"))]
    )
    assert "usr/share/x" in made.tar
    assert not any(name.startswith("srv") for name in made.tar)


def test_a_link_to_the_root_itself_is_followed(tmp_path: Path) -> None:
    made = Made(tmp_path, [debs.package("a", symlink("./srv", "/"))], [debs.package("b", file("./srv/x"))])
    assert "x" in made.tar


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    damaged = replace(debs.package("tool"), content=b"damaged")
    with pytest.raises(IntegrityError, match=r"tool 1\.0-1: cannot read") as caught:
        Made(tmp_path, [damaged])
    assert caught.value.code == "IB557"


def test_a_tier_without_packages_has_no_layer(tmp_path: Path) -> None:
    made = Made(tmp_path, [LIBC], [], [debs.package("tool")])
    assert [spec.name for spec in made.specs] == ["debian:trixie base", "debian:trixie packages"]


def test_the_key_names_the_packages_of_the_tier_and_of_those_below(tmp_path: Path) -> None:
    one = Made(tmp_path, [LIBC], [debs.package("tool")])
    other = Made(tmp_path, [LIBC], [debs.package("tool", version="2")])
    assert one.specs[0].key == other.specs[0].key
    assert one.specs[1].key != other.specs[1].key
    moved = replace(
        one.pins, tiers=tuple(tuple(replace(deb, path="debian/pool/y") for deb in tier) for tier in one.pins.tiers)
    )
    assert debian.layer_specs(moved, scratch=tmp_path, warn=print)[1].key == one.specs[1].key
    assert [source.kind for source in one.specs[1].sources] == ["deb", "deb"]


def test_the_bytes_depend_on_nothing_but_the_packages(tmp_path: Path) -> None:
    packages = [
        debs.package(name, folder("./usr/", mode=0o700 + number), file(f"./usr/share/{name}", name.encode() * 1000))
        for number, name in enumerate("abcdef")
    ]
    made = []
    for name in ("one", "other"):
        place = tmp_path / name
        place.mkdir(mode=0o700)
        made.append(Made(place, packages, [LIBC]))
    assert made[0].layers == made[1].layers
    assert [str(layer.diff_id) for layer in made[0].layers] == [
        "sha256:f16c8fac6b37a3305742a94154093e09a9510934b5c3a89aefa8197d9cc76116",
        "sha256:5c3cbe4b48c2a910659a65b8d6b835a15d76dfe2577a3f78b90f32fe7dd67f69",
    ]
