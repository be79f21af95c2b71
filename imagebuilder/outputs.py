"""Where images go: an OCI layout, an archive, or a container engine."""

from collections.abc import Mapping

from imagebuilder.image import Image
from imagebuilder.request import Output
from layers.blobs import BlobStore


def deliver(
    image: Image, store: BlobStore, output: Output, *, tags: tuple[str, ...], environment: Mapping[str, str]
) -> str:
    """Write an image to one output and return its reference line (`oci:DIR@sha256:…`).

    `tags` are full references (`-t`); `environment` (DOCKER_HOST …) says where the engines are.
    """
    raise NotImplementedError
