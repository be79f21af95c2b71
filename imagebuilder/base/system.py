"""What maintainer scripts and ldconfig would have made in the root: users, folders, links, bundles, caches."""

import re
from collections.abc import Iterable, Iterator, Sequence

from imagebuilder.base.alternatives import alternatives, choose
from imagebuilder.base.root import Root, content
from layers import elf, ldcache
from layers.deb import Deb
from layers.entry import Entry, Kind, Stored, directory, file, symlink
from layers.expression import expression
from layers.ldcache import Library

_NONROOT = 65532
_STATUS = "var/lib/dpkg/status.d"
_CERTIFICATES = "usr/share/ca-certificates/"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_PYTHON = expression(r"usr/bin/(python3\.\d+)")
_LIBRARY = expression(r"(lib|ld-).*\.so")
# Where ldconfig looks besides etc/ld.so.conf (glibc, elf/ldconfig.c).
_LIBRARY_FOLDERS = ("/lib", "/usr/lib")

_FILES = {
    "etc/passwd": b"""\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
""",
    "etc/group": b"""\
root:x:0:
tty:x:5:
mail:x:8:
shadow:x:42:
utmp:x:43:
staff:x:50:
nogroup:x:65534:
nonroot:x:65532:
""",
    "etc/nsswitch.conf": b"""\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
""",
}
_LINKS = {
    "etc/dpkg/origins/default": "debian",
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    "usr/lib/ssl/cert.pem": f"/{BUNDLE}",
    "usr/lib/ssl/certs": "/etc/ssl/certs",
    "var/lock": "/run/lock",
    "var/run": "/run",
}


def skeleton(root: Root, architecture: str) -> Iterator[Entry]:
    """Yield what has to be there before the first package: the merged /usr, users, folders with their rights."""
    for name in ("bin", "lib", "sbin", *(["lib64"] if architecture == "amd64" else [])):
        yield root.add(directory(f"usr/{name}"))
        yield root.add(symlink(name, f"usr/{name}"))
    for name in ("dev", "etc", "home", "proc", "run", "sys", "usr/local/bin", "usr/local/lib"):
        yield root.add(directory(name))
    for name in ("run/lock", "tmp", "var/tmp"):
        yield root.add(directory(name, 0o1777))
    yield root.add(directory("root", 0o700))
    yield root.add(directory("home/nonroot", 0o700, uid=_NONROOT, gid=_NONROOT))
    for path, text in _FILES.items():
        yield root.add(file(path, text))
    for path, target in _LINKS.items():
        yield root.add(symlink(path, target))


def status(root: Root, name: str, deb: Deb) -> Iterator[Entry]:
    """Yield what vulnerability scanners read: what the package says of itself, and the hashes of its files.

    One file for each package, as distroless images have it: upper layers need not rewrite one of a lower layer.
    """
    control = deb.control["control"].rstrip(b"\n").replace(b"\n", b"\nStatus: install ok installed\n", 1) + b"\n"
    yield root.add(file(f"{_STATUS}/{name}", control))
    lines = []
    for line in deb.control.get("md5sums", b"").decode("utf-8", "surrogateescape").splitlines():
        md5, _, path = line.partition("  ")
        if root.place(path) in root.entries:
            lines.append(f"{md5}  {root.place(path)}\n")
    yield root.add(file(f"{_STATUS}/{name}.md5sums", "".join(lines).encode("utf-8", "surrogateescape")))


def completion(root: Root, own: Sequence[Entry], debs: Sequence[Deb]) -> Iterator[Entry]:
    """Yield what the maintainer scripts of a tier's packages would have made of its own entries."""
    for entry in (*_certificate_bundle(own), *_interpreter_links(own), *_alternative_links(root, debs)):
        yield root.add(entry)


def _certificate_bundle(own: Iterable[Entry]) -> Iterator[Entry]:
    certificates = [each for each in own if each.path.startswith(_CERTIFICATES) and each.path.endswith(".crt")]
    if certificates:
        certificates.sort(key=lambda entry: entry.path_bytes)
        yield file(BUNDLE, b"".join(content(each).rstrip(b"\n") + b"\n" for each in certificates))


def _interpreter_links(own: Iterable[Entry]) -> Iterator[Entry]:
    for entry in own:
        if match := _PYTHON.fullmatch(entry.path):
            yield symlink("usr/bin/python3", match[1])
            yield symlink("usr/bin/python", match[1])


def _alternative_links(root: Root, debs: Iterable[Deb]) -> Iterator[Entry]:
    """Yield the links of alternatives whose files are there (`libblas.so.3`, `editor`)."""
    offered = (each for deb in debs for each in alternatives(deb.control.get("postinst", b"")))
    for chosen in choose(each for each in offered if root.follow(each.path) in root.entries):
        link = root.place(chosen.link.strip("/"))
        if link not in root.entries:
            yield symlink(link, f"/etc/alternatives/{chosen.name}")
            yield symlink(f"etc/alternatives/{chosen.name}", chosen.path)


def linker_cache(root: Root) -> Entry:
    """Return /etc/ld.so.cache for all that is in the root."""
    return file("etc/ld.so.cache", ldcache.cache(_libraries(root)))


def _libraries(root: Root) -> Iterator[Library]:
    inside: dict[str, list[Entry]] = {}
    for entry in root.entries.values():
        folder, _, name = entry.path.rpartition("/")
        if entry.kind is not Kind.DIRECTORY and _LIBRARY.match(name):
            inside.setdefault(folder, []).append(entry)
    seen = set()
    for folder in _library_folders(root):
        real = root.follow(folder)
        if real not in seen:
            seen.add(real)
            yield from _in_folder(root, folder, inside.get(real, ()))


def _library_folders(root: Root) -> Iterator[str]:
    for path in sorted(path for path in root.entries if re.fullmatch(r"etc/ld\.so\.conf\.d/[^/]+\.conf", path)):
        for line in content(root.entries[path]).decode("utf-8", "replace").splitlines():
            if line.startswith("/"):
                yield line.strip().rstrip("/")
    yield from _LIBRARY_FOLDERS


def _in_folder(root: Root, folder: str, found: Iterable[Entry]) -> Iterator[Library]:
    """Name each library once, as ldconfig does: by its SONAME, and by a link for the compiler (`libz.so`)."""
    names: dict[str, Library] = {}
    for entry in sorted(found, key=lambda entry: entry.path_bytes):
        real = root.entries.get(root.follow(entry.path))
        library = elf.shared_object(real.content) if real and isinstance(real.content, Stored) else None
        if library is None:
            continue
        own = entry.path.rpartition("/")[2]
        for_compiler = entry.kind is Kind.SYMLINK and own.endswith(".so") and library.soname.startswith(own)
        name = own if for_compiler or not library.soname else library.soname
        file_name = name if root.place(f"{folder.strip('/')}/{name}") in root.entries else own
        names.setdefault(name, Library(name, f"{folder}/{file_name}", library.machine))
    yield from names.values()
