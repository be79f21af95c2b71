"""The last image with its application packed anew: what comes of a build before which only packed files have changed.

A file is packed if the build has put it into the layer of the application, and has otherwise only met it in a list.
What is in such files, and whether they are executable, decides that layer and nothing else; so the image is the last
one but for its last layer. Whatever does not fit goes the usual way
(docs/decisions/0200-an-application-packed-anew.md).
"""

import os
import time  # noqa: TID251 how long it took is shown to people
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder import again, answers, documents, parted, plain, reference, report
from imagebuilder.cache import Cache
from imagebuilder.documents import Document
from imagebuilder.image import Image
from imagebuilder.outcome import BuildOutcome, LayerOutcome, Pushed
from imagebuilder.progress import Progress
from imagebuilder.reference import Reference
from imagebuilder.series import write_layer
from layers import tree
from layers.blobs import BlobStore
from layers.descriptor import CONFIG, MANIFEST, Descriptor, Platform
from layers.digest import Digest
from layers.entry import Entry
from layers.errors import BuildError
from layers.layer import Layer
from layers.values import replace

if TYPE_CHECKING:
    from imagebuilder.again import Packed, Question, Record
    from imagebuilder.registry.client import Uploaded


# What was just made is hardly ever there already. Smaller blobs are sent as fast as the question is.
_WORTH_ASKING = 1 << 20


class _OtherwiseError(Exception):
    """Not only what is packed has changed, or the cache lacks something."""


def answer(record: "Record", packed: "Packed", question: "Question") -> int | None:
    """Pack the application anew and bring the image where it was before; None if that takes a whole build."""
    try:
        outcome = _repack(record, packed, question)
    except (_OtherwiseError, BuildError, OSError):  # the build says what is wrong, if anything is
        return None
    told = _told(outcome, seconds=(time.monotonic_ns() - question.clock_ns) / 1e9)
    again.tell(None if record["told"] is None else told, answers.line(outcome, json=record["json"]))
    answers.write(record, outcome, question)
    return 0


def _repack(record: "Record", packed: "Packed", question: "Question") -> BuildOutcome:
    cache = Cache(Path(question.cache))
    before = Document("outcome", packed["outcome"])
    with cache.in_use():
        config = documents.parse(cache.store.read(Digest(before.text("config_digest"))), "config")
        entries = _entries(record, packed, at=config.child("config").text("WorkingDir").lstrip("/"))
        layer = write_layer(
            cache,
            entries,
            folder=os.path.realpath(record["source"][0]),
            created_by=parted.NAME,
            compression=packed["compression"],
        )
        image = _image(before, config, layer, packed, cache.store)
        pushed = _push(image, before, record, cache.store, question)
        _write(image, record, before.texts("tags"), cache, question)
    return _outcome(before, image, pushed)


def _entries(record: "Record", packed: "Packed", *, at: str) -> Sequence[Entry]:
    """List the application. There must be the same files, links and folders as before, whatever is in them.

    One that is now too large for a layer has several, of which this module knows nothing.
    """
    source, _ = record["source"]
    left_out = frozenset(packed["left_out"])
    known = {path[len(source) + 1 :] for path in answers.paths(record["listed"])} - {"."}
    met = set()

    def ignored(path: str) -> bool:
        if path in left_out:
            return True
        if path not in known:
            raise _OtherwiseError
        met.add(path)
        return False

    entries = tree.entries(Path(source), at=at, ignored=ignored)
    if met != known or sum(entry.size for entry in entries) > parted.SHARED_BYTES:
        raise _OtherwiseError
    return entries


def _image(before: Document, config: Document, layer: Layer, packed: "Packed", store: BlobStore) -> Image:
    """Put a layer in the place of the last one: in the manifest and in the config, which are as `export` made them."""
    manifest = documents.parse(store.read(Digest(before.text("manifest_digest"))), "manifest")
    rootfs = config.child("rootfs")
    *blobs, _ = map(documents.descriptor, manifest.children("layers"))
    *diff_ids, _ = map(Digest, rootfs.texts("diff_ids"))
    layers = (*(Layer(blob, diff_id, "") for blob, diff_id in zip(blobs, diff_ids, strict=True)), layer)
    written = store.write_json(
        CONFIG, {**config.fields, "rootfs": {**rootfs.fields, "diff_ids": [each.diff_id.value for each in layers]}}
    )
    described = [each.descriptor.to_json() for each in layers]
    return Image(
        store.write_json(MANIFEST, {**manifest.fields, "config": written.to_json(), "layers": described}),
        written,
        layers,
        Platform(*before.text("platform").split("/")),
        {Digest(digest): reference.parse_source(name) for digest, name in packed["origins"].items()},
    )


def _push(
    image: Image, before: Document, record: "Record", store: BlobStore, question: "Question"
) -> tuple[Pushed, ...]:
    if not (names := record["pushed"]):
        return ()
    tags = [*map(reference.parse, names["names"])]
    if names["plain"] and len({name.name for name in tags}) == 1:
        with suppress(OSError, ValueError):
            return (_push_plainly(image, before.text("manifest_digest"), tags, store),)
    from imagebuilder import push, remote  # 80 ms
    from imagebuilder.registry.settings import RegistrySettings

    settings = RegistrySettings(
        question.environment, frozenset(names["insecure"]), token_hosts=frozenset(names["token_hosts"])
    )
    with remote.parts_of_image(image, store, settings) as parts:
        return push.push(parts, tags, settings=settings, progress=Progress())


def _push_plainly(image: Image, before: str, tags: Sequence[Reference], store: BlobStore) -> Pushed:
    """Send what the last image did not have, if the tags still stand for that one: then the registry has the rest.

    The blobs come first and the tags last. Raises OSError for a registry that does not speak plain http to everybody.
    """
    repository, new = tags[0].repository, image.manifest.digest.value
    sent = set()
    with plain.Registry(tags[0].registry) as registry:
        paths = {name.tag: f"/v2/{repository}/manifests/{name.tag}" for name in tags}
        now = {tag: registry.tag(path) for tag, path in paths.items()}
        if not {*now.values()} <= {before, new}:
            raise OSError(repository)
        for blob in (image.layers[-1].descriptor, image.config):
            there = f"/v2/{repository}/blobs/{blob.digest}"
            if blob.size < _WORTH_ASKING or not registry.has_blob(there, blob.size):
                registry.upload(repository, blob.digest.value, store.open(blob.digest), blob.size)
                sent.add(blob.digest)
        wrong = tuple(tag for tag in paths if now[tag] != new)
        for tag in wrong:
            registry.set_tag(paths[tag], new, store.read(image.manifest.digest), image.manifest.media_type)
    *blobs, _ = image.blobs
    fates = [_fate(blob, uploaded=blob.digest in sent) for blob in blobs]
    return Pushed(tags[0].name, wrong, tuple(fates))


def _fate(blob: Descriptor, *, uploaded: bool) -> "tuple[Descriptor, Uploaded]":
    return blob, "uploaded" if uploaded else "present"


def _write(image: Image, record: "Record", tags: tuple[str, ...], cache: Cache, question: "Question") -> None:
    again.keep([blob.digest.hex for blob in image.blobs], question)
    if not record["outputs"]:
        return
    from imagebuilder import outputs  # not every build writes something beside what it pushes
    from imagebuilder.request import Output

    if not all(cache.store.has(blob.digest, blob.size) for blob in image.blobs):
        raise _OtherwiseError
    for kind, target, name in record["outputs"]:
        output = Output(kind, target, name)
        outputs.deliver(image, cache.store, output, tags=tags, environment=question.environment, cache=cache)


def _outcome(before: Document, image: Image, pushed: tuple[Pushed, ...]) -> BuildOutcome:
    names = [each.text("name") for each in before.children("layers")]
    *cached, made = (
        LayerOutcome(name, each.descriptor.digest, each.diff_id, each.descriptor.size, cached=True)
        for name, each in zip(names, image.layers, strict=True)
    )
    return BuildOutcome(
        name=before.text("name"),
        platform=image.platform,
        manifest_digest=image.manifest.digest,
        config_digest=image.config.digest,
        layers=(*cached, replace(made, cached=False)),
        pushed=pushed,
        outputs=before.texts("outputs"),
        tags=before.texts("tags"),
        origins=image.origins,
    )


def _told(outcome: BuildOutcome, *, seconds: float) -> list[str]:
    return [
        "  repacked    only the application has changed since the last build",
        *(f"  push        {each}" for each in outcome.pushed),
        *(f"  output      {each}" for each in outcome.outputs),
        *report.summary(outcome, seconds=seconds),
    ]
