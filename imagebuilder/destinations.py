"""Destinations: where an image goes, what it is called there, and where this user's cache and configuration lie."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from imagebuilder import reference, text
from imagebuilder.reference import HUB, Reference
from imagebuilder.request import BuildRequest, Output
from layers.errors import UsageError

_LONGEST_NAME = 128
TYPES = ("oci", "archive", "docker", "podman")
_HINT = "write oci:DIR, archive:FILE, docker:NAME or podman:NAME"


def outputs(
    wanted: Iterable[str], *, load: str, name: str, tags: tuple[str, ...], push: bool = False
) -> tuple[Output, ...]:
    """Read `--output` and `--load`; with neither, an image that is not pushed goes to the OCI layout `dist/NAME.oci`.

    Raises UsageError IB114 for what is no destination, IB652 for a name that no engine takes.
    """
    found = [output(destination) for destination in wanted]
    if load:
        found.append(output(f"{load}:{tags[0]}"))
    return tuple(dict.fromkeys(found)) or (() if push else (Output("oci", f"dist/{name}.oci"),))


def output(destination: str) -> Output:
    """Read one destination. Raises as `outputs` does."""
    kind, colon, target = destination.partition(":")
    if not (colon and target and target.isprintable()):
        raise UsageError(f"not a destination: {destination!r}", hint=_HINT, code="IB114")
    match kind:
        case "oci":
            folder, colon, name = target.rpartition(":")
            return Output("oci", folder, name) if colon else Output("oci", target)
        case "archive":
            return Output("archive", target)
        case "docker" | "podman" as engine:
            reference.parse(target)
            return Output(engine, target)
        case _:
            near = text.nearest(kind, TYPES)
            hint = f"did you mean `{near}:`?" if near else _HINT
            raise UsageError(f"unknown type of destination: `{kind}:`", hint=hint, code="IB114")


def check_target(name: Reference) -> None:
    """Refuse a name that nobody can push to. Raises UsageError IB241."""
    if name.digest:
        raise UsageError(
            f"cannot push to {name}: it has a digest",
            hint="give a tag; the digest is what comes of a push",
            code="IB241",
        )
    if name.registry == HUB and name.repository.startswith("library/"):
        raise UsageError(
            f"cannot push to `{name.familiar}`: it names no registry, and Docker Hub keeps such names to itself",
            hint=f"write `registry.example.com/{name.familiar}`, or `USER/{name.familiar}` for Docker Hub",
            code="IB241",
        )


def written_into(request: BuildRequest) -> tuple[str, ...]:
    """Return, relative to the application, what the build writes into its folder and so must not read."""
    root = request.source.resolve()
    places = [Path(output.target) for output in request.outputs if output.type in ("oci", "archive")]
    places += [path for path in (request.digest_file, request.metadata_file, request.cache_dir) if path]
    resolved = [path.resolve() for path in places]
    return tuple(sorted({os.fspath(path.relative_to(root)) for path in resolved if path.is_relative_to(root)} - {"."}))


def normalised(name: str) -> str:
    """Make a repository name of the name of a project or folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST_NAME].strip("-") or "app"


def cache_dir(wanted: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of the cache: as asked for, else as the XDG base directory specification says.

    Raises UsageError IB110 for a user without a home.
    """
    if wanted:
        return Path(wanted)
    folder = _base_folder("XDG_CACHE_HOME", ".cache", environment)
    if folder is None:
        raise UsageError(
            "no place for the cache: HOME is not set and this user has no home folder",
            hint="give --cache-dir, or set IMAGEBUILDER_CACHE_DIR or HOME",
            code="IB110",
        )
    return folder / "imagebuilder"


def user_file(environment: Mapping[str, str]) -> Path | None:
    """Return where the user's configuration would be; None for a user without a home."""
    folder = _base_folder("XDG_CONFIG_HOME", ".config", environment)
    return folder / "imagebuilder" / "config.toml" if folder else None


def _base_folder(variable: str, default: str, environment: Mapping[str, str]) -> Path | None:
    """A relative path in an XDG variable is to be ignored (XDG base directory specification, "Basics")."""
    if (folder := environment.get(variable, "")).startswith("/"):
        return Path(folder)
    found = home(environment)
    return found / default if found else None


def home(environment: Mapping[str, str]) -> Path | None:
    """Return the user's home: HOME, else what the user database says; None for a user without one."""
    if found := environment.get("HOME"):
        return Path(found)
    try:
        return Path("~").expanduser()
    except RuntimeError:
        return None
