"""Forbidden variables: settings of pip and uv that would choose other packages, and that no build of ours obeys.

Who sets them expects other packages than those that would be pinned, and another machine would not have them. A lock is
not concerned: only where versions are chosen is this asked.
"""

from collections.abc import Mapping

from layers.errors import UsageError

_INSTEAD = {
    "PIP_ABI": "",
    "PIP_ALL_RELEASES": "write `--pre` into the requirements, or a version such as `flask>=4.0rc1`",
    "PIP_BUILD_CONSTRAINT": "",
    "PIP_CONFIG_SETTINGS": "",
    "PIP_CONSTRAINT": "write `-c FILE` into the requirements",
    "PIP_EDITABLE": "write `-e PATH` into the requirements",
    "PIP_GLOBAL_OPTION": "",
    "PIP_GROUP": 'write groups = ["…"] into the configuration',
    "PIP_IGNORE_REQUIRES_PYTHON": "",
    "PIP_IMPLEMENTATION": "",
    "PIP_NO_BINARY": "write `--no-binary` into the requirements",
    "PIP_NO_BUILD_ISOLATION": "",
    "PIP_NO_DEPS": "",
    "PIP_ONLY_BINARY": "write `--only-binary` into the requirements",
    "PIP_ONLY_FINAL": "",
    "PIP_PLATFORM": "use --platform",
    "PIP_PRE": "write `--pre` into the requirements, or a version such as `flask>=4.0rc1`",
    "PIP_PREFER_BINARY": "write `--prefer-binary` into the requirements",
    "PIP_PYTHON_VERSION": "use --python",
    "PIP_REQUIREMENT": 'write requirements = ["…"] into the configuration',
    "PIP_REQUIRE_HASHES": "write `--require-hashes` into the requirements",
    "PIP_UPLOADED_PRIOR_TO": "",
    "PIP_USE_DEPRECATED": "",
    "UV_BUILD_CONSTRAINT": "",
    "UV_CONSTRAINT": "write `-c FILE` into the requirements",
    "UV_EXCLUDE": "",
    "UV_EXCLUDE_NEWER": "",
    "UV_FORK_STRATEGY": "",
    "UV_NO_BINARY": "",
    "UV_NO_BINARY_PACKAGE": "",
    "UV_NO_BUILD": "",
    "UV_NO_BUILD_ISOLATION": "",
    "UV_NO_BUILD_PACKAGE": "",
    "UV_NO_SOURCES": "",
    "UV_OVERRIDE": "",
    "UV_PRERELEASE": "write `--pre` into the requirements, or a version such as `flask>=4.0rc1`",
    "UV_PYTHON_PLATFORM": "use --platform",
    "UV_REQUIRE_HASHES": "write `--require-hashes` into the requirements",
    "UV_RESOLUTION": "",
    "UV_TORCH_BACKEND": "name the index of torch in [tool.uv.sources], or in the requirements",
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
