"""What it means if a source cannot be built: the backend's last lines, and what of Debian is most likely missing."""

import re

from buildpacks.api import Folder, PinnedWheel
from imagebuilder.libraries import Lookup
from layers.errors import BuildError
from layers.expression import expression

_HEADER = expression(r"fatal error: ([\w./+-]+): No such file or directory")
# Packages of the headers that are missed most; Debian's own list of all files takes seconds, and a network.
_PACKAGES = {
    "Python.h": "gcc",
    "cairo.h": "libcairo2-dev",
    "curl/curl.h": "libcurl4-openssl-dev",
    "ffi.h": "libffi-dev",
    "ft2build.h": "libfreetype-dev",
    "gmp.h": "libgmp-dev",
    "jpeglib.h": "libjpeg-dev",
    "krb5.h": "libkrb5-dev",
    "lber.h": "libldap-dev",
    "libpq-fe.h": "libpq-dev",
    "libxml/xmlversion.h": "libxml2-dev",
    "libxslt/xsltconfig.h": "libxslt1-dev",
    "limits.h": "libc6-dev",
    "lzma.h": "liblzma-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "openssl/ssl.h": "libssl-dev",
    "openssl/opensslv.h": "libssl-dev",
    "sasl/sasl.h": "libsasl2-dev",
    "sql.h": "unixodbc-dev",
    "sqlite3.h": "libsqlite3-dev",
    "yaml.h": "libyaml-dev",
    "zlib.h": "zlib1g-dev",
    "zmq.h": "libzmq3-dev",
}
# What is said where a program is missing, and the package that has it.
_PROGRAMS = {
    r"pg_config executable not found": "libpq-dev",
    r"mysql_config: not found|Can not find valid pkg-config name": "default-libmysqlclient-dev",
    r"(?:g\+\+|c\+\+)'?(?: failed)?: No such file|cannot execute .?cc1plus": "g++",
    r"(?:gcc|\bcc)'?(?: failed)?: No such file|[Uu]nable to find .?(?:gcc|cc)\b|No working compiler found": "gcc",
    r"(?:can't find|cannot find|requires) (?:a )?Rust|cargo.{0,40}(?:not found|not installed|No such file)": "cargo",
    r"[Cc]ould not find.{0,20}CMake|'cmake'|cmake: not found": "cmake",
    r"pkg-config.{0,40}(?:not found|No such file)": "pkg-config",
    r"'make'|make: not found": "make",
}
# What backends say that ask Git for the version: there is no repository in a sandbox.
_UNVERSIONED = expression(
    r"unable to detect version|version from (?:the )?scm|Versioning for this project requires|is not a git repository",
    re.IGNORECASE,
)
_LIBRARY = expression(r"/usr/bin/(?:\S*-)?ld: cannot find -l([\w+.-]+)")


def failed(wheel: PinnedWheel, error: BuildError, packages_with: Lookup, *, image: str = "") -> BuildError:
    """Say of a failed command which package it was for and what may help; `image` is the base, if it is one."""
    said = "\n".join(error.details)
    if _UNVERSIONED.search(said):
        own = isinstance(wheel.source, Folder)
        return BuildError(
            f"cannot build {wheel} from source: its backend asks Git for the version, and there is no repository",
            details=error.details[-1:],
            hint="say it with --project-version, as in `--project-version 1.4.0`" if own else "name a released version",
            code="IB876",
        )
    if error.code != "IB862":
        code, hint = error.code, error.hint
    else:
        code, hint = "IB872", _of_image(said, image) if image else _hint(said, packages_with) or error.hint
    return BuildError(f"cannot build {wheel} from source: {error.message}", details=error.details, hint=hint, code=code)


def _hint(said: str, packages_with: Lookup) -> str:
    for words, package in _PROGRAMS.items():
        if re.search(words, said):
            return _add(package)
    if header := _HEADER.search(said):
        package = _PACKAGES.get(header[1]) or _looked_up(header[1], packages_with)
        wanted = f"the package of Debian that has {header[1]}, most often named lib…-dev"
        return _add(package) if package else f"name in `build-packages` {wanted}"
    if library := _LIBRARY.search(said):
        return f"name in `build-packages` the package of Debian that has lib{library[1]}.so"
    return ""


def _of_image(said: str, image: str) -> str:
    """Say what an image lacks, to which nothing can be added."""
    if not _hint(said, lambda _names: {}):
        return "its last lines say why"
    return f"{image} lacks what it is built with: choose a base that has compilers and headers, or `debian:trixie`"


def _looked_up(header: str, packages_with: Lookup) -> str:
    try:
        return next(iter(packages_with([header]).get(header, ())), "")
    except BuildError:
        return ""  # that the list of files cannot be had is not what went wrong


def _add(package: str) -> str:
    return f'add "{package}" to `build-packages`, as in build-packages = ["{package}"]'
