"""References: full image names, read as Docker reads them (distribution/reference, grammar of `reference.go`)."""

import re
from dataclasses import dataclass

from layers.errors import UsageError

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A registry, a repository in it, and a tag. Names without a registry belong to Docker Hub."""

    registry: str
    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def familiar(self) -> str:
        """The name as Docker shows it: `app:latest` for `docker.io/library/app:latest`."""
        return str(self).removeprefix("docker.io/library/").removeprefix("docker.io/")


def parse(text: str) -> Reference:
    """Read a name such as `app`, `team/app:1.0` or `registry.example.com:5000/app`; the tag is `latest` if left out.

    Raises UsageError IB652 for anything else, also for a name with a digest: a digest is a result, not a wish.
    """
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or first != first.lower() or set(first) & set(".:")):
        registry, name = first, rest
    else:
        registry, name = "docker.io", text
    repository, colon, tag = name.partition(":")
    if registry == "docker.io" and "/" not in repository:
        repository = f"library/{repository}"
    reference = Reference(registry, repository, tag if colon else "latest")
    if (
        not _REGISTRY.fullmatch(registry)
        or not _REPOSITORY.fullmatch(repository)
        or not _TAG.fullmatch(reference.tag)
        or len(registry) + 1 + len(repository) > _LONGEST_NAME
    ):
        raise UsageError(
            f"not an image name: {text!r}",
            hint="write `name`, `name:tag` or `registry.example.com/team/name:tag`, in lower case",
            code="IB652",
        )
    return reference
