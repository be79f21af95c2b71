"""Where images go: an OCI layout, an archive, or a container engine."""

from collections.abc import Mapping
from pathlib import Path

from imagebuilder import archive, daemon, layout, reference
from imagebuilder.image import Image
from imagebuilder.request import Output
from layers.blobs import BlobStore


def deliver(
    image: Image, store: BlobStore, output: Output, *, tags: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    """Write an image to one output.

    `tags` are the image's names (`-t`, else the project's name), at least one; an engine gets them beside its own.
    In a layout an image is known by the tag alone, or by the output's name. `environment` says where engines are.
    Raises UsageError IB652 for a tag that is no image name, before anything is written.
    """
    names = tuple(dict.fromkeys(map(reference.parse, tags)))
    target = Path(output.target)
    match output.type:
        case "oci":
            tag_names = dict.fromkeys(name.tag for name in names)
            layout.write_layout(image, store, target, names=[output.name] if output.name else list(tag_names))
        case "archive":
            archive.write_archive(image, store, target, names=names)
        case "docker":
            daemon.load_docker(image, store, _with(output, names), environment=environment)
        case "podman":
            daemon.load_podman(image, store, _with(output, names), environment=environment)


def _with(output: Output, names: tuple[reference.Reference, ...]) -> tuple[reference.Reference, ...]:
    return tuple(dict.fromkeys((reference.parse(output.target), *names)))
