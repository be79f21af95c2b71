"""Images to compare: their documents and where their layers are, whoever made them."""

from collections.abc import Callable, Iterator, Mapping

from layers.canonical import Json
from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer as it is stored. `name` is what its maker says of it, for people; it may be empty or hostile.

    `digest` is that of the stored bytes, `diff_id` that of the tar, both with their algorithm. `stored` yields the
    stored bytes, as often as it is called. Whoever reads them to their end knows that they have the `digest`.
    """

    name: str
    media_type: str
    digest: str
    diff_id: str
    size: int
    stored: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The image of one platform. What an engine does not keep is empty: `docker save` has no manifest.

    `platform` is `os/architecture[/variant]`. The digests are those of the documents' bytes.
    """

    reference: str
    platform: str
    manifest_digest: str
    manifest: Mapping[str, Json]
    config_digest: str
    config: Mapping[str, Json]
    layers: tuple[StoredLayer, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What somebody named: an image, or an index with images of several platforms.

    `digest` is that of the manifest or the index; the config digest where there is neither. `index` is empty for a
    single image. `media_type` is that of the document that `digest` names.
    """

    reference: str
    digest: str
    media_type: str
    index: Mapping[str, Json]
    images: tuple[StoredImage, ...]
