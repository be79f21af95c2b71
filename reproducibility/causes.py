"""Causes: why two builds differ, each with what to do about it in one line."""

from dataclasses import dataclass
from typing import Literal

Group = Literal["metadata", "packaging", "content", "bytecode", "binary", "inputs", "documents"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A class of causes. `title` is what it is, `remedy` what makes it go away."""

    key: str
    group: Group
    title: str
    remedy: str


_TABLE: dict[Group, dict[str, tuple[str, str]]] = {
    "metadata": {
        "mtime": (
            "time of a file",
            "write one fixed time for every file (SOURCE_DATE_EPOCH, --rewrite-timestamp)",
        ),
        "umask": (
            "mode bits left by the umask",
            "set modes from the executable bit alone, or build with a fixed umask",
        ),
        "mode": (
            "mode of a file",
            "set the mode explicitly when the file is made",
        ),
        "owner": (
            "owner of a file",
            "write fixed user and group ids (COPY --chown, tar --owner=0 --group=0)",
        ),
        "owner-name": (
            "name of the owner in the tar",
            "leave user and group names out of the tar (--numeric-owner)",
        ),
        "order": (
            "order of the entries",
            "sort the entries by path before they are written",
        ),
        "xattr": (
            "extended attribute",
            "drop attributes of the build host, or set them in the build",
        ),
        "tar-format": (
            "form of the tar headers",
            "write all tars with one tool in one version and format",
        ),
        "hard-link": (
            "hard link against copy",
            "do not install by hard links, or decide it by content",
        ),
        "link-target": (
            "target of a link",
            "link to a fixed, relative path",
        ),
        "kind": (
            "another type of file",
            "look which build step makes it, and when",
        ),
        "device": (
            "number of a device",
            "leave device files out of the image",
        ),
        "twice": (
            "an entry that is there twice",
            "write every path once; readers disagree on which one counts",
        ),
    },
    "packaging": {
        "gzip-header": (
            "header of the gzip stream",
            "write gzip headers without time and name (gzip -n)",
        ),
        "compressor": (
            "another compressor, version or level",
            "pin the compressor; the tar inside is the same",
        ),
        "compression": (
            "another kind of compression",
            "choose the same --compression; the tar inside is the same",
        ),
        "layering": (
            "layers cut or ordered otherwise",
            "build both with the same steps; compare with --rootfs",
        ),
    },
    "content": {
        "build-path": (
            "path of the build in a file",
            "build in a fixed folder, or map it away (-ffile-prefix-map)",
        ),
        "timestamp": (
            "time of the build in a file",
            "take the time from SOURCE_DATE_EPOCH, or leave it out",
        ),
        "time-zone": (
            "time zone in a file",
            "format times in UTC (TZ=UTC)",
        ),
        "locale": (
            "language or format of the locale in a file",
            "run build steps with LC_ALL=C.UTF-8",
        ),
        "hostname": (
            "name of the build host in a file",
            "leave the host name out, or set a fixed one",
        ),
        "user": (
            "user or home folder of the build in a file",
            "build as a fixed user with a fixed HOME",
        ),
        "environment": (
            "variable of the environment in a file",
            "run build steps with a fixed environment",
        ),
        "random": (
            "random value in a file",
            "seed it from the input, or make it when the container starts",
        ),
        "set-order": (
            "same parts in another order",
            "sort before writing; iteration over sets and folders has no order",
        ),
        "parallelism": (
            "result depends on the number of processors",
            "collect results in the order of the input",
        ),
        "file-order": (
            "result depends on the order of a folder",
            "sort what a folder lists before using it",
        ),
        "line-endings": (
            "line endings",
            "check out and write files with one kind of line ending (.gitattributes)",
        ),
        "log": (
            "log of the build",
            "delete logs in the step that writes them",
        ),
        "cache-file": (
            "cache that a tool left behind",
            "delete the cache in the step that writes it",
        ),
        "account-date": (
            "day on which an account was made or changed",
            "set the day in etc/shadow to a fixed one (chage -d)",
        ),
        "installer": (
            "record of how a package was installed",
            "install without installer metadata (direct_url.json, REQUESTED)",
        ),
        "shebang": (
            "interpreter in the first line of a script",
            "install into the path where it will run",
        ),
        "record": (
            "RECORD, which lists hashes of other files",
            "goes away with the differences of the files it lists",
        ),
        "unknown": (
            "not explained",
            "look at the bytes; report it if it is a class of its own",
        ),
    },
    "bytecode": {
        "pyc-time": (
            "bytecode with the time of its source",
            "compile with --invalidation-mode unchecked-hash, or ship no bytecode",
        ),
        "pyc-path": (
            "bytecode with the path of the build",
            "compile where it will run, or with -s and -p",
        ),
        "pyc-refs": (
            "bytecode of equal code, written in other words",
            "compile each package in a fresh process (cpython#129724), or ship none",
        ),
        "pyc-code": (
            "bytecode of another source",
            "goes away with the difference of its source",
        ),
        "pyc-version": (
            "bytecode of another Python",
            "pin the interpreter that compiles",
        ),
        "pyc-presence": (
            "bytecode on one side only",
            "ship no bytecode, or compile everything in the build",
        ),
    },
    "binary": {
        "build-id": (
            "build id of a program or library",
            "goes away with its cause; or link with --build-id=none",
        ),
        "elf-path": (
            "path of the build in a program or library",
            "build in a fixed folder, or with -ffile-prefix-map",
        ),
        "rpath": (
            "search path of a program or library",
            "set RUNPATH relative to $ORIGIN, or none",
        ),
        "elf-code": (
            "machine code or data",
            "pin the compiler and its flags; look for __DATE__ and -march=native",
        ),
        "zip-time": (
            "times or order inside a zip archive",
            "write archives with fixed times, sorted (SOURCE_DATE_EPOCH)",
        ),
        "archive-content": (
            "files inside an archive",
            "see the differences of the files inside",
        ),
        "database": (
            "database or other binary file of a tool",
            "leave it out, or make it when the container starts",
        ),
    },
    "inputs": {
        "python-package": (
            "another version of a Python package",
            "pin it by hash in a lock",
        ),
        "os-package": (
            "another version of an OS package",
            "pin the base by digest, or its packages by version",
        ),
        "interpreter": (
            "another version of Python",
            "pin the interpreter",
        ),
        "base": (
            "another base image",
            "pin the base by digest",
        ),
        "source": (
            "another source of the application",
            "build from the same commit, with no files beside it",
        ),
        "file-set": (
            "file on one side only",
            "look which build step makes it, and when",
        ),
        "platform": (
            "another platform",
            "compare images of one platform",
        ),
    },
    "documents": {
        "created": (
            "time at which the image was made",
            "set it from SOURCE_DATE_EPOCH or --created",
        ),
        "history": (
            "history of the image",
            "goes away with its time; or leave the history out",
        ),
        "config-field": (
            "field of the configuration",
            "set it in the build, not from the host",
        ),
        "container": (
            "trace of the container that was committed",
            "build from a Dockerfile or without one; do not commit containers",
        ),
        "label": (
            "label or annotation",
            "take labels from the input, not from time, host or CI run",
        ),
        "media-type": (
            "media type of a document or layer",
            "write one format (OCI or Docker)",
        ),
        "attestation": (
            "attestation beside the image",
            "compare images without it; --provenance=false leaves it out",
        ),
        "derived": (
            "digest of something that differs",
            "goes away with the difference of what it names",
        ),
    },
}
CAUSES = {
    key: Cause(key, group, title, remedy) for group, causes in _TABLE.items() for key, (title, remedy) in causes.items()
}
