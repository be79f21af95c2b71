"""References: full image names, read as Docker reads them (distribution/reference, grammar of `reference.go`)."""

from layers.digest import Digest
from layers.errors import IntegrityError, UsageError
from layers.expression import expression
from layers.values import dataclass, replace

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = expression(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = expression(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = expression(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 255

# Docker Hub, and the other names it is known by.
HUB = "docker.io"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Reference:
    """A registry, a repository in it, and a tag, a digest or both. Names without a registry belong to Docker Hub.

    `tag` is empty only where a digest was given without one. What has a digest is that, whatever its tag says now.
    """

    registry: str
    repository: str
    tag: str
    digest: Digest | None = None

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The name as Docker shows it: `app:latest` for `docker.io/library/app:latest`."""
        return str(self).removeprefix("docker.io/library/").removeprefix("docker.io/")


def parse(text: str) -> Reference:
    """Read the name of an image to be made: `app`, `team/app:1.0`, `registry.example.com:5000/app`.

    The tag is `latest` if left out. Raises UsageError IB652 for anything else, also for a name with a digest: a digest
    is a result, not a wish.
    """
    reference = _parse(text)
    if reference is None:
        raise _malformed(text, "write `name`, `name:tag` or `registry.example.com/team/name:tag`, in lower case")
    return reference


def parse_source(text: str) -> Reference:
    """Read the name of an image that exists: as `parse` does, or with a digest (`app@sha256:…`, `app:1@sha256:…`)."""
    name, at, digest = text.partition("@")
    reference = _parse(name)
    try:
        named = Digest(digest) if at else None
    except IntegrityError:
        reference = None
    else:
        if reference and named:
            tagged = ":" in name.rpartition("/")[2]
            reference = replace(reference, tag=reference.tag if tagged else "", digest=named)
    if reference is None:
        raise _malformed(text, "write `name:tag`, `name@sha256:…` or `registry.example.com/team/name:tag`")
    return reference


def _parse(text: str) -> Reference | None:
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or first != first.lower() or set(first) & set(".:")):
        registry, name = first, rest
    else:
        registry, name = HUB, text
    if registry in _HUB_NAMES:
        registry = HUB
    repository, colon, tag = name.partition(":")
    if registry == HUB and "/" not in repository:
        repository = f"library/{repository}"
    reference = Reference(registry, repository, tag if colon else "latest")
    if (
        not _REGISTRY.fullmatch(registry)
        or not _REPOSITORY.fullmatch(repository)
        or not _TAG.fullmatch(reference.tag)
        or len(reference.name) > _LONGEST_NAME
    ):
        return None
    return reference


def _malformed(text: str, hint: str) -> UsageError:
    return UsageError(f"not an image name: {text!r}", hint=hint, code="IB652")
