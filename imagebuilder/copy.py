"""Copies: an image, or an index of images, from where it is to where it is wanted; no byte of it changes.

From a registry to a registry blobs are streamed and never on disk; within one registry they are mounted.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from imagebuilder import destinations, documents, image, layout, outputs, push, reference, remote
from imagebuilder import parts as parts_of
from imagebuilder.image import INDEXES, REF_NAME
from imagebuilder.outcome import Pushed
from imagebuilder.parts import Parts
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import Output
from layers import scratch
from layers.blobs import BlobStore
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import UsageError
from layers.values import dataclass

# Blobs at a time.
_COPIES = 4


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied, and how it is called where nobody says otherwise."""

    parts: Parts
    name: Reference


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to: where the image is now, with its digest; and what was pushed, if that was to a registry."""

    reference: str
    digest: Digest
    pushed: tuple[Pushed, ...] = ()


@contextmanager
def open_source(text: str, settings: RegistrySettings) -> Iterator[Source]:
    """Open `oci:DIR[:name]`, `archive:FILE`, the path of either, or the name of an image in a registry.

    Raises UsageError IB242 for an engine, IB652 and IB655 for what is none of them.
    """
    kind, colon, _ = text.partition(":")
    if colon and kind in ("docker", "podman"):
        raise UsageError(
            f"cannot read from an engine: {text!r}",
            hint=f"write it to an archive first, for example with `{kind} save -o FILE NAME`",
            code="IB242",
        )
    if image.is_local(text):
        place, root = image.locate(text)
        yield Source(parts_of.gather(root, place), _local_name(text, root))
        return
    name = reference.parse_source(text)
    with remote.open_remote(name, settings) as (blobs, root):
        parts = parts_of.gather(root, blobs)
        origins = {blob.digest: name for blob in parts.blobs}
        yield Source(Parts(parts.root, parts.blobs, parts.documents, blobs, origins), _tagged(name))


def copy(source: str, target: str, *, settings: RegistrySettings, scratch_root: Path, progress: Progress) -> Copied:
    """Copy. `scratch_root` is a folder for what has to be whole before it is written on.

    Raises UsageError IB114, IB241, IB652 for what is no target, IB243 for an index where only an image can be.
    """
    kind = target.partition(":")[0]
    output = destinations.output(target) if kind in destinations.TYPES else None
    name = None if output else reference.parse(target)
    if name:
        destinations.check_target(name)
    with open_source(source, settings) as opened:
        digest = opened.parts.root.digest
        if name:
            pushed = push.push(opened.parts, [name], settings=settings, progress=progress)
            return Copied(f"{name.name}@{digest}", digest, pushed)
        if output:
            with progress.step("copy") as step:
                _deliver(opened, output, settings=settings, scratch_root=scratch_root, step=step)
                step.finish(str(output))
        return Copied(f"{target}@{digest}", digest)


def _deliver(source: Source, output: Output, *, settings: RegistrySettings, scratch_root: Path, step: Step) -> None:
    parts = source.parts
    wanted = [*parts.blobs, *(described for described, _ in parts.documents)]
    step.expect(sum(blob.size for blob in wanted))
    fetch = partial(_fetch, parts, step)
    if output.type == "oci":
        names = {REF_NAME: output.name or source.name.tag}
        layout.add(Path(output.target), wanted, fetch, [{**parts.root.to_json(), "annotations": names}])
        return
    if parts.root.media_type in INDEXES:
        raise _several(parts, output)
    with scratch.folder(scratch_root) as folder, ThreadPoolExecutor(_COPIES) as pool:
        store = BlobStore(folder / "store")
        list(pool.map(partial(fetch, store), wanted))
        found = image.read(str(source.name), image.blobs_of(store), parts.root).image
        outputs.deliver(found, store, output, tags=(str(source.name),), environment=settings.environment)


def _fetch(parts: Parts, step: Step, store: BlobStore, blob: Descriptor) -> None:
    with store.writer(blob.digest, blob.size) as copied:
        for chunk in parts.place.open(blob):
            copied.write(chunk)
            step.advance(len(chunk))


def _local_name(text: str, root: Descriptor) -> Reference:
    """Name an image of a layout or an archive: by the full name in its index, else by the path and its tag there."""
    path = text.partition(":")[2] if text.startswith(("oci:", "archive:")) else text
    stem = destinations.normalised(Path(path).name.partition(":")[0].partition(".")[0])
    for name in (
        root.annotations.get(layout.CONTAINERD_NAME, ""),
        f"{stem}:{root.annotations.get(REF_NAME, 'latest')}",
    ):
        with suppress(UsageError):  # other programs write other things there
            return reference.parse(name)
    return reference.parse(stem)


def _tagged(name: Reference) -> Reference:
    return Reference(name.registry, name.repository, name.tag or "latest")


def _several(parts: Parts, output: Output) -> UsageError:
    root, content = parts.documents[-1]
    children = [documents.descriptor(child) for child in documents.parse(content, "index").children("manifests")]
    return UsageError(
        f"{output.type}: takes the image of one platform, and {root.digest} names {len(children)}",
        details=tuple(f"{child.platform or 'no platform'}: {child.digest}" for child in children[:2]),
        hint="copy one of them by its digest, or copy all to `oci:DIR` or a registry",
        code="IB243",
    )
