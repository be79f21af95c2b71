"""Forbidden variables: settings of pip and uv that would choose other packages, and that no build of ours obeys.

Who sets them expects other packages than those that would be pinned, and another machine would not have them. A lock is
not concerned: only where versions are chosen is this asked.
"""

from collections.abc import Mapping

from layers.errors import UsageError

_INSTEAD = {
    "PIP_ABI": "",
    "PIP_CONSTRAINT": "write `-c FILE` into the requirements",
    "PIP_IMPLEMENTATION": "",
    "PIP_NO_BINARY": "write `--no-binary` into the requirements",
    "PIP_NO_DEPS": "",
    "PIP_ONLY_BINARY": "write `--only-binary` into the requirements",
    "PIP_PLATFORM": "use --platform",
    "PIP_PRE": "write `--pre` into the requirements, or a version such as `flask>=4.0rc1`",
    "PIP_PYTHON_VERSION": "use --python",
    "PIP_REQUIREMENT": 'write requirements = ["…"] into the configuration',
    "PIP_REQUIRE_HASHES": "write `--require-hashes` into the requirements",
    "UV_CONSTRAINT": "write `-c FILE` into the requirements",
    "UV_EXCLUDE_NEWER": "",
    "UV_NO_BINARY": "",
    "UV_OVERRIDE": "",
    "UV_PRERELEASE": "write `--pre` into the requirements, or a version such as `flask>=4.0rc1`",
    "UV_PYTHON_PLATFORM": "use --platform",
    "UV_RESOLUTION": "",
}


def check(environment: Mapping[str, str]) -> None:
    """Raise UsageError IB317 if a variable is set that would choose other packages."""
    found = [name for name in _INSTEAD if environment.get(name)]
    if found:
        raise UsageError(
            f"{' and '.join(found)} would choose other packages, on this machine only",
            hint=f"unset {'it' if len(found) == 1 else 'them'}"
            + (f"; {_INSTEAD[found[0]]}" if _INSTEAD[found[0]] else ""),
            code="IB317",
        )
