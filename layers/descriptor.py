"""Descriptors: what the OCI image specification says of a blob (media type, digest, size)."""

from collections.abc import Mapping

from layers.canonical import Json
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.values import dataclass, field

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and an architecture, in the words of the OCI image specification (`linux/arm64`)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def to_json(self) -> dict[str, Json]:
        """Return the platform object of an index."""
        document: dict[str, Json] = {"architecture": self.architecture, "os": self.os}
        if self.variant:
            document["variant"] = self.variant
        return document


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob's media type, digest and size in bytes. Only writing a blob, or parsing a document, makes one."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None

    def __post_init__(self) -> None:
        if self.size < 0:
            raise IntegrityError(
                f"a blob cannot have {self.size} bytes", hint="the document that says so is damaged", code="IB501"
            )

    def to_json(self) -> dict[str, Json]:
        """Return the descriptor object of a manifest or an index."""
        document: dict[str, Json] = {
            "mediaType": self.media_type,
            "digest": self.digest.value,
            "size": self.size,
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform:
            document["platform"] = self.platform.to_json()
        return document
