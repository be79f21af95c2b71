"""Documents read from outside: JSON whose every field is checked when it is asked for."""

import json
from collections.abc import Mapping
from typing import TypeVar

from layers.canonical import Json
from layers.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, Descriptor, Platform
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.values import dataclass

# What layers are called, by OCI and by Docker: the bytes are the same.
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
LAYERS: Mapping[str, str] = {
    LAYER_TAR: LAYER_TAR,
    LAYER_GZIP: LAYER_GZIP,
    LAYER_ZSTD: LAYER_ZSTD,
    _DOCKER_LAYER: LAYER_TAR,
    f"{_DOCKER_LAYER}.gzip": LAYER_GZIP,
    f"{_DOCKER_LAYER}.zstd": LAYER_ZSTD,
}

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object; `name` says in errors which one. Every question raises IntegrityError IB654 for another type."""

    name: str
    fields: Mapping[str, Json]

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it must be there."""
        return self._get(key, str, default)

    def number(self, key: str) -> int:
        """Return a whole number."""
        number = self._get(key, int, None)
        if isinstance(number, bool):
            raise self.wrong(key)
        return number

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; a missing list is empty."""
        values = self._get(key, list, [])
        return tuple(self._checked(value, str, key) for value in values)

    def mapping(self, key: str) -> dict[str, str]:
        """Return an object of strings; a missing one is empty."""
        values = self._get(key, dict, {})
        return {name: self._checked(value, str, key) for name, value in values.items()}

    def child(self, key: str, default: dict[str, Json] | None = None) -> "Document":
        """Return an object; without a default it must be there."""
        return Document(f"{self.name}.{key}", self._get(key, dict, default))

    def children(self, key: str) -> tuple["Document", ...]:
        """Return a list of objects; a missing list is empty."""
        values = self._get(key, list, [])
        return tuple(
            Document(f"{self.name}.{key}[{place}]", self._checked(value, dict, key))
            for place, value in enumerate(values)
        )

    def wrong(self, key: str) -> IntegrityError:
        """Make the error for a field that cannot be right."""
        return malformed(f"{self.name}.{key} is {str(self.fields.get(key))[:100]!r}")

    def _get(self, key: str, type_: type[_Value], default: _Value | None) -> _Value:
        # null stands for absent: Go writes it for an empty list.
        value = self.fields.get(key)
        if value is None and default is not None:
            return default
        return self._checked(value, type_, key)

    def _checked(self, value: Json, type_: type[_Value], key: str) -> _Value:
        if not isinstance(value, type_):
            raise self.wrong(key)
        return value


def parse(content: bytes, name: str) -> Document:
    """Read a JSON object; `name` is its name in errors."""
    document = _load(content, name)
    if not isinstance(document, dict):
        raise malformed(f"{name} is not an object")
    return Document(name, document)


def parse_list(content: bytes, name: str) -> tuple[Document, ...]:
    """Read a list of JSON objects."""
    found = _load(content, name)
    if not isinstance(found, list):
        raise malformed(f"{name} is not a list")
    return Document(name, {"[]": found}).children("[]")


def _load(content: bytes, name: str) -> Json:
    try:
        document: Json = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{name} cannot be read: {error}") from error
    return document


def descriptor(document: Document) -> Descriptor:
    """Read a descriptor."""
    platform = None
    if "platform" in document.fields:
        platform = read_platform(document.child("platform"))
    return Descriptor(
        document.text("mediaType"),
        Digest(document.text("digest")),
        document.number("size"),
        annotations=document.mapping("annotations"),
        platform=platform,
    )


def read_platform(document: Document) -> Platform:
    """Read the platform of a descriptor or of a config, which has the same fields."""
    return Platform(document.text("os"), document.text("architecture"), document.text("variant", ""))


def malformed(what: str) -> IntegrityError:
    """Make the error for an image that is not as the OCI image specification says."""
    return IntegrityError(
        f"not a valid image: {what}",
        hint="it is damaged, or the tool that wrote it does not follow the OCI image specification",
        code="IB654",
    )


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Refuse a key that comes twice: readers disagree on which one counts."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key comes twice")
    return fields
