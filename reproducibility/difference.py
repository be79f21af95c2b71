"""Differences: what is not the same in two images, as plain values. A difference is a result, not an exception."""

from collections.abc import Mapping
from typing import Literal

from layers.values import dataclass, field
from reproducibility.images import StoredImage, Subject

Part = Literal["index", "manifest", "config", "layer", "file"]
# What of it differs: `value` is that of a field of a document, `presence` that one side lacks it.
Aspect = Literal[
    "value", "presence", "kind", "mode", "owner", "owner name", "mtime", "link", "device", "xattr", "format",
    "hard link", "size", "content", "order", "twice", "compression", "layering",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """A closer look at a difference, for people. `kind` says how to read `lines`.

    `text`: lines of a unified diff, each with its mark (`-`, `+`, ` `, `@`). `hex`: the same, of hex dumps.
    `fields`: `name TAB left TAB right`. All of it comes from images and is escaped only where it is shown.
    """

    kind: Literal["text", "hex", "fields"]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same. `left` and `right` are short values, empty where a side has none.

    `path` is the path in the image without a leading slash (`opt/app.jar!/META-INF/MANIFEST.MF` inside an archive), the
    dotted path of a field of a document, or empty for what concerns a layer as a whole. Bytes that are not UTF-8 are
    surrogate-escaped. `layer` is the label of its LayerPair, empty for documents and with --rootfs. `cause` is a key of
    `causes.CAUSES`; `note` is the evidence for it. `follows`: it is only the consequence of others, like a diff_id or a
    line of RECORD. `blamed` names the variations of `check` that bring it about. `size` is that of the file whose bytes
    it concerns, on the larger side; 0 where no bytes of a file do.
    """

    part: Part
    path: str
    aspect: Aspect
    left: str
    right: str
    cause: str
    layer: str = ""
    note: str = ""
    follows: bool = False
    blamed: tuple[str, ...] = ()
    view: View | None = None
    size: int = 0

    @property
    def locus(self) -> str:
        """What differs, without how: the same in every pair of builds in which it differs."""
        return f"{self.part}\0{self.layer}\0{self.path}\0{self.aspect}"


@dataclass(frozen=True, slots=True)
class LayerPair:
    """Layers that hold the same files on both sides: usually one and one, more where one side split them otherwise.

    `left` and `right` are positions in the images, from the bottom; one of them is empty for what only one side has.
    `same`: how far they agree. `stored` bytes are equal, only the `tar` is equal (other compression), or neither.
    """

    label: str
    left: tuple[int, ...]
    right: tuple[int, ...]
    same: Literal["stored", "tar", "no"]


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """Two images of one platform. `differences` are sorted, causes before what follows from them."""

    left: StoredImage
    right: StoredImage
    layers: tuple[LayerPair, ...]
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether the images are the same, byte for byte."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing two subjects: pairs of images by platform, and how their indexes differ."""

    left: Subject
    right: Subject
    images: tuple[ImageComparison, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the subjects are the same, byte for byte (with --rootfs: whether their file systems are)."""
        return not self.differences and all(image.same for image in self.images)

    @property
    def everything(self) -> tuple[Difference, ...]:
        """All differences: of the index, then of each image."""
        return (*self.differences, *(one for image in self.images for one in image.differences))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the two builds that made the images, so that its traces can be recognised in them.

    Keys: `path` (folders of the source, the store and temporary files), `home`, `user`, `host`, `zone`, `locale`,
    `environment` (values of variables); values: the strings of each side. `times` are ranges of seconds since the epoch
    in which each side was built. Empty for images of unknown origin.
    """

    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    right: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_times: tuple[int, int] | None = None
    right_times: tuple[int, int] | None = None
