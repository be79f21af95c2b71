"""Where images go: an OCI layout, an archive, or a container engine."""

from collections.abc import Mapping
from pathlib import Path

from imagebuilder import layout, reference
from imagebuilder.cache import Cache
from imagebuilder.image import Image
from imagebuilder.reference import Reference
from imagebuilder.request import Output
from layers.blobs import BlobStore


def deliver(
    image: Image,
    store: BlobStore,
    output: Output,
    *,
    tags: tuple[str, ...],
    environment: Mapping[str, str],
    cache: Cache | None = None,
) -> None:
    """Write an image to one output.

    `tags` are the image's names (`-t`, else the project's name), at least one. An archive has them all, a layout the
    part after the colon. A layout's or an engine's own name comes before them, unless the engine's is one of them.
    `environment` says where engines are. `cache` keeps in mind which blobs of a layout were whole.
    Raises UsageError IB652 for a tag that is no image name, before anything is written.
    """
    names = tuple(dict.fromkeys(map(reference.parse, tags)))
    target = Path(output.target)
    match output.type:
        case "oci":
            tag_names = dict.fromkeys(name.tag for name in names)
            layout_names = [output.name] if output.name else list(tag_names)
            layout.write_layout(image, store, target, names=layout_names, cache=cache)
        case "archive":
            from imagebuilder import archive  # most builds write a layout

            archive.write_archive(image, store, target, names=names)
        case "docker":
            from imagebuilder import daemon

            daemon.load_docker(image, store, _names(output.target, names), environment=environment)
        case "podman":
            from imagebuilder import daemon

            daemon.load_podman(image, store, _names(output.target, names), environment=environment)


def _names(target: str, tags: tuple[Reference, ...]) -> tuple[Reference, ...]:
    name = reference.parse(target)
    return tags if name in tags else (name,)
