"""Images: what export made, or what was read back from a layout or an archive."""

from dataclasses import dataclass

from layers.descriptor import Descriptor, Platform
from layers.layer import Layer


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose blobs are all in one store.

    `manifest.digest` is the manifest digest, `config.digest` the config digest (Docker's image id); neither is ever
    called just "the digest". An index digest exists only where an index names images of several platforms.
    """

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    platform: Platform
