"""Audits: what came of rebuilding a published image, as plain values."""

from typing import Literal

from layers.canonical import Json
from layers.values import dataclass
from reproducibility.difference import Comparison

InputName = Literal[
    "format", "platform", "created", "compression", "lock", "source", "settings", "release"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditedInput:
    """Something an image is made from: what the published image says of it (`expected`) and what is here (`found`).

    Both are short values, empty where there is none; `detail` says for people what differs, or where the value is
    from. `release` is all that is not an input of the user: it differs where nothing else explains a difference.
    """

    name: InputName
    expected: str
    found: str
    same: bool
    detail: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the input as reports show it."""
        return {
            "name": self.name,
            "expected": self.expected,
            "found": self.found,
            "same": self.same,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class AuditedImage:
    """The image of one platform: its digest, that of the rebuilt one (empty if it could not be built), and the inputs.

    The digests are those of the manifests; of the configs where an engine keeps no manifest.
    """

    platform: str
    digest: str
    rebuilt: str
    inputs: tuple[AuditedInput, ...]

    @property
    def same(self) -> bool:
        """Whether the rebuilt image is the published one."""
        return self.digest == self.rebuilt

    @property
    def blamed(self) -> tuple[AuditedInput, ...]:
        """The inputs that differ."""
        return tuple(each for each in self.inputs if not each.same)

    def to_json(self) -> dict[str, Json]:
        """Return the image as reports show it."""
        return {
            "platform": self.platform,
            "digest": self.digest,
            "rebuilt": self.rebuilt,
            "same": self.same,
            "inputs": [each.to_json() for each in self.inputs],
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit came to. `folder` is the application as the user named it; `images` are those that were audited.

    `not_audited` names platforms of the index that the lock knows nothing of. `comparison` has what differs and why; it
    is None if no image could be rebuilt, and its pairs are those of `images` that could.
    """

    reference: str
    digest: str
    folder: str
    images: tuple[AuditedImage, ...]
    comparison: Comparison | None
    not_audited: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether every image that was audited came out as it was published."""
        return all(image.same for image in self.images)

    def to_json(self) -> dict[str, Json]:
        """Return what is not in the comparison, as reports show it."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "folder": self.folder,
            "same": self.same,
            "images": [image.to_json() for image in self.images],
            "not_audited": self.not_audited,
        }
