"""Images for comparisons: tars written by tarfile, compressed and put together by hand, right or wrong."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from layers import canonical
from layers.canonical import Json
from layers.digest import Digest
from reproducibility.compare import compare
from reproducibility.difference import Comparison, Difference
from reproducibility.images import StoredImage, StoredLayer, Subject

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar"
DOCKER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Item:
    """A member of a tar to write; `change` sets what else tarfile can."""

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    mtime: float = 1
    pax: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[tarfile.TarInfo], object] = lambda info: None


def file(path: str, content: bytes | str = b"", **others: object) -> Item:
    return Item(path, content.encode() if isinstance(content, str) else content, **others)  # type: ignore[arg-type]


def folder(path: str, mode: int = 0o755, **others: object) -> Item:
    return Item(path, kind=tarfile.DIRTYPE, mode=mode, **others)  # type: ignore[arg-type]


def symlink(path: str, target: str) -> Item:
    return Item(path, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(path: str, target: str) -> Item:
    return Item(path, kind=tarfile.LNKTYPE, link=target)


def tar(items: Iterable[Item], form: int = tarfile.USTAR_FORMAT, pax: Mapping[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form, pax_headers=dict(pax or {})) as archive:
        for item in items:
            info = tarfile.TarInfo(item.path)
            info.type, info.linkname, info.size = item.kind, item.link, len(item.content)
            info.mode, info.mtime, info.pax_headers = item.mode, item.mtime, dict(item.pax)  # type: ignore[assignment]
            item.change(info)
            archive.addfile(info, io.BytesIO(item.content))
    return made.getvalue()


def layer(
    content: bytes | Sequence[Item], *, name: str = "", compression: str = "", diff_id: str = "", stored: bytes = b""
) -> StoredLayer:
    plain = content if isinstance(content, bytes) else tar(content)
    if not stored:
        stored = {
            "": lambda: plain,
            "gzip": lambda: gzip.compress(plain, mtime=0),
            "docker": lambda: gzip.compress(plain, 1, mtime=0),
            "zstd": lambda: zstandard.ZstdCompressor().compress(plain),
        }[compression]()
    media_type = DOCKER_GZIP if compression == "docker" else f"{TAR}+{compression}".removesuffix("+")
    return StoredLayer(
        name,
        media_type,
        Digest.of(stored).value,
        diff_id or Digest.of(plain).value,
        len(stored),
        lambda: iter([stored]),
    )


def image(
    *layers: StoredLayer | Sequence[Item],
    config: Mapping[str, Json] | None = None,
    manifest: Mapping[str, Json] | None = None,
    platform: str = "linux/amd64",
    kept: bool = True,
) -> StoredImage:
    """Put layers together; without `kept` as an engine that has no manifest."""
    made = tuple(each if isinstance(each, StoredLayer) else layer(each) for each in layers)
    os, architecture = platform.split("/")
    document: dict[str, Json] = {"architecture": architecture, "os": os, **(config or {})}
    document["rootfs"] = {"type": "layers", "diff_ids": [each.diff_id for each in made]}
    listed: list[Json] = [{"mediaType": each.media_type, "digest": each.digest, "size": each.size} for each in made]
    config_digest = canonical.digest(document).value
    names: dict[str, Json] = {"config": {"digest": config_digest}, "layers": listed, **(manifest or {})}
    return StoredImage(
        reference="tests",
        platform=platform,
        manifest_digest=canonical.digest(names).value if kept else "",
        manifest=names if kept else {},
        config_digest=config_digest,
        config=document,
        layers=made,
    )


def subject(one: StoredImage) -> Subject:
    return Subject("tests", one.manifest_digest or one.config_digest, MANIFEST, {}, (one,))


def index(*images: StoredImage, others: Sequence[Json] = (), **fields: Json) -> Subject:
    children: list[Json] = []
    for each in images:
        os, architecture = each.platform.split("/")
        platform: Json = {"os": os, "architecture": architecture}
        children.append({"mediaType": MANIFEST, "digest": each.manifest_digest, "platform": platform})
    document: dict[str, Json] = {"schemaVersion": 2, "manifests": [*children, *others], **fields}
    return Subject("tests", canonical.digest(document).value, INDEX, document, images)


def diff(
    folder: Path, left: StoredImage | Subject, right: StoredImage | Subject, *, rootfs: bool = False
) -> Comparison:
    """Compare two images, and the other way round: that mirrors everything. Nothing is left in the folder."""
    sides = [each if isinstance(each, Subject) else subject(each) for each in (left, right)]
    found = compare(sides[0], sides[1], scratch=folder, rootfs=rootfs)
    back = compare(sides[1], sides[0], scratch=folder, rootfs=rootfs)
    told = [each for each in found.everything if each.aspect != "layering"]  # names layers as the left side does
    mirrored = [each for each in back.everything if each.aspect != "layering"]
    assert sorted(map(_mirrored, mirrored)) == sorted(map(_told, told))
    assert len(found.everything) - len(told) == len(back.everything) - len(mirrored)
    assert list(folder.iterdir()) == []
    return found


def causes(comparison: Comparison) -> dict[str, list[str]]:
    """Return the paths by cause of what does not follow from anything else."""
    found: dict[str, list[str]] = {}
    for each in comparison.everything:
        if not each.follows:
            found.setdefault(each.cause, []).append(each.path)
    return found


def of(comparison: Comparison, path: str) -> Iterator[Difference]:
    return (each for each in comparison.everything if each.path == path)


def _told(each: Difference) -> tuple[str, ...]:
    return (*_what(each), each.left, each.right)


def _mirrored(each: Difference) -> tuple[str, ...]:
    return (*_what(each), each.right, each.left)


def _what(each: Difference) -> tuple[str, ...]:
    path = (
        each.path if each.aspect != "value" or each.part != "file" else each.note
    )  # packages are called as on the left
    return each.part, path, each.aspect, each.cause, str(each.follows), str(each.size)
