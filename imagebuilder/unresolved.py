"""Errors made of uv's explanations: why there is no solution, in a few lines, with the exit code that fits."""

import functools
import re
from collections.abc import Mapping
from contextlib import suppress

from buildpacks import selection
from buildpacks.api import Interpreter, Target
from imagebuilder.addresses import host
from imagebuilder.fetch import Downloader
from imagebuilder.index import without_credentials
from layers.errors import BuildError, IntegrityError, RefusedError, TransientError
from layers.expression import expression

_LONGEST = 400
_WHEELS_SHOWN = 3
_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*)"
_UNKNOWN = expression(rf"{_NAME} was not found in the (?:package registry|provided package locations)")
_NO_VERSION = expression(r"there (?:is|are) no versions? of (\S+?)(?: and|,|$)")
_NO_WHEEL = expression(
    rf"no (?:usable )?wheels.*?(?:required|found wheels) for `{_NAME}`"
    rf"|ecause (?:all versions of )?{_NAME}(?:[<>=]\S*)? (?:has|have) no (?:usable )?wheels"
)
_NO_PYTHON = expression(r"(?:does not satisfy|requires) Python ?([<>=!~]\S+)")
_REFUSED = expression(r"\b(401 Unauthorized|403 Forbidden)\b")
_ADDRESS = expression(r"https?://[^\s`'\")>]+")


class NoWheelError(BuildError):
    """No wheel of a package fits the image; `wanted` is the requirement for it, as far as uv tells."""

    wanted: str = ""


def unresolved(errors: str, interpreter: Interpreter, target: Target, *, downloader: Downloader) -> BuildError:
    """Say what uv's explanation means. `downloader` is asked what files there are, if none of them fits."""
    text = " ".join(without_credentials(errors).split())
    for explain in (_network, functools.partial(_missing, bound=downloader.bound), _no_python):
        if error := explain(text):
            return error
    if found := _NO_WHEEL.search(text):
        name = found[1] or found[2]
        asked = re.search(rf"(?:you require|depends? on) ({re.escape(name)}(?:[<>=!~][^\s,]+,?)*)", text)
        wanted = asked[1].rstrip(",") if asked else name
        return _no_wheel(wanted, interpreter, target, offered=_wheels(name, wanted, downloader))
    if "unsatisfiable" in text:
        return BuildError(
            "the requirements contradict each other or what there is",
            details=_reasons(text),
            hint="loosen one of the versions that are named",
            code="IB406",
        )
    return BuildError(
        "uv cannot resolve the requirements",
        details=(_shortened(text),),
        hint="correct the requirements; if they are right, report this",
        code="IB410",
    )


def _network(text: str) -> BuildError | None:
    address = _ADDRESS.search(text)
    place = host(address[0]) if address else "the index"
    if "network was disabled" in text:
        return BuildError(
            "the requirements cannot be resolved: --offline was given, and what is needed is not in the cache",
            details=_reasons(text),
            hint="run `imagebuilder lock` once without --offline",
            code="IB700",
        )
    if refused := _REFUSED.search(text):
        return RefusedError(
            f"{place} refuses: it answers {refused[1]}",
            hint="give credentials in the index address, a netrc file or UV_INDEX_<NAME>_USERNAME and _PASSWORD",
            code="IB702",
        )
    if "Hash mismatch" in text:
        return IntegrityError(
            "a file is not what its hash promised",
            details=(_shortened(text),),
            hint="find out why it changed before you write the new hash into the requirements",
            code="IB409",
        )
    if "404 Not Found" in text and address:
        return BuildError(
            f"there is nothing at {address[0]}", hint="check the address in the requirements", code="IB703"
        )
    if re.search(r"invalid peer certificate|UnknownIssuer", text):
        return RefusedError(
            f"{place} refuses: its certificate is not trusted",
            hint="correct the address, or name the authority's certificate in SSL_CERT_FILE",
            code="IB705",
        )
    if re.search(r"Failed to fetch|Request failed|error sending request|timed out", text):
        cause = re.search(r"dns error|Connection refused|timed out|\d{3} [A-Z][A-Za-z ]+(?=\))", text)
        return TransientError(
            f"cannot reach {place}: {cause[0] if cause else 'no connection'}",
            hint="check the network, proxy settings and the address, then try again",
            code="IB701",
        )
    return None


def _missing(text: str, *, bound: Mapping[str, str]) -> BuildError | None:
    found = _UNKNOWN.search(text) or _NO_VERSION.search(text)
    if not found:
        return None
    if index := bound.get(found[1]):
        return BuildError(
            f"the index {index} shows no {found[1]}, which comes from there alone",
            details=_reasons(text),
            hint="check the name and the credentials: an index may hide what it does not let everybody have",
            code="IB405",
        )
    return BuildError(
        f"no index has {found[1]}",
        details=_reasons(text),
        hint="check the spelling; if it is private, name its index in PIP_EXTRA_INDEX_URL or UV_INDEX",
        code="IB405",
    )


def _no_python(text: str) -> BuildError | None:
    found = _NO_PYTHON.search(text)
    if not found:
        return None
    return BuildError(
        f"a requirement needs Python{found[1].rstrip(',')}, which the image's is not",
        details=_reasons(text),
        hint="choose another Python with --python, or another version of the package",
        code="IB408",
    )


def _no_wheel(wanted: str, interpreter: Interpreter, target: Target, *, offered: list[str]) -> BuildError:
    tag = f"cp{interpreter.series.replace('.', '')}"
    machine = selection.MACHINES[target.platform.architecture]
    near = [name for name in offered if "linux" in name and machine in name] or offered
    shown = ", ".join(near[-_WHEELS_SHOWN:]) or "no wheel, only source"
    more = f" and {len(offered) - _WHEELS_SHOWN} more" if len(offered) > _WHEELS_SHOWN else ""
    error = NoWheelError(
        f"no wheel of {wanted} fits the image",
        details=(
            f"wanted: {tag}, abi3 or none, for {machine} with glibc {target.glibc[0]}.{target.glibc[1]} or older",
            f"there is: {shown}{more}",
        ),
        hint="choose another version of it or of Python, or build a wheel and serve it with --find-links",
        code="IB407",
    )
    error.wanted = wanted
    return error


def _wheels(project: str, wanted: str, downloader: Downloader) -> list[str]:
    """Return the names of the wheels there are for a requirement, oldest first."""
    from packaging.requirements import Requirement  # only what is not locked is resolved
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    versions = Requirement(wanted).specifier
    found = set()
    for file in downloader.files(project):
        with suppress(InvalidWheelFilename):
            name, version, *_ = parse_wheel_filename(file.name)
            if name == canonicalize_name(project) and versions.contains(version, prereleases=True):
                found.add((version, file.name))
    return [name for _, name in sorted(found)]


def _reasons(text: str) -> tuple[str, ...]:
    """Return the first two sentences of uv's proof, without what it always says."""
    proof = re.search(r"(?:Because|And because) .*?(?= hint:|$)", text)
    if not proof:
        return (_shortened(text),)
    plain = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?", "", proof[0])
    return tuple(_shortened(sentence) for sentence in re.split(r"(?<=\.) (?=And because)", plain)[:2])


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
