"""Comparison: two images from their manifests down to the bytes of their files, stopping wherever they are equal."""

from pathlib import Path

from layers.values import replace
from reproducibility import bases, consequences, documents, matching
from reproducibility.compared_layers import Comparer
from reproducibility.difference import Comparison, Difference, ImageComparison, Known
from reproducibility.explanations import Explainer
from reproducibility.images import StoredImage, Subject
from reproducibility.unpack import Unpacker


def compare(
    left: Subject, right: Subject, *, scratch: Path, known: Known | None = None, rootfs: bool = False
) -> Comparison:
    """Compare two subjects. Equal digests end it: nothing below them is read.

    `scratch` is an empty folder for unpacked tars, emptied again at the end. With `rootfs` only the final file systems
    count, however they came to be: layers, order and documents do not.

    Raises IntegrityError IB800 if the tar of a layer cannot be read, IB801 if it is a bomb, IB656 if it is not what its
    digests promise, and StorageError IB601 if there is no room for it.
    """
    explainer = Explainer(known or Known())
    pairs, found = _by_platform(left, right)
    if not rootfs and left.digest != right.digest:
        found += documents.index_differences(left, right)
    images = []
    for one, other in pairs:
        with Unpacker(scratch) as unpacker:
            images.append(_compare_images(one, other, Comparer(one, other, unpacker, explainer), rootfs=rootfs))
    return Comparison(left, right, tuple(images), consequences.ordered(found, ()))


def _by_platform(left: Subject, right: Subject) -> tuple[list[tuple[StoredImage, StoredImage]], list[Difference]]:
    """Pair images of one platform, two single images whatever theirs are; say which ones have no counterpart."""
    if not left.index and not right.index:
        return list(zip(left.images, right.images, strict=True)), []
    free: dict[str, list[StoredImage]] = {}
    for other in right.images:
        free.setdefault(other.platform, []).append(other)
    pairs, alone = [], []
    for one in left.images:
        if free.get(one.platform):
            pairs.append((one, free[one.platform].pop(0)))
        else:
            alone.append(Difference("index", one.platform, "presence", one.manifest_digest, "", "platform"))
    for platform, others in free.items():
        alone += [Difference("index", platform, "presence", "", other.manifest_digest, "platform") for other in others]
    return pairs, alone


def _compare_images(left: StoredImage, right: StoredImage, comparer: Comparer, *, rootfs: bool) -> ImageComparison:
    if _equal(left, right, rootfs=rootfs):
        return ImageComparison(left, right, tuple(matching.equal(left.layers, right.layers)), ())
    pairs = comparer.pairs()
    if rootfs:
        found, held = comparer.file_systems()
    else:
        found, held = comparer.layers(pairs)
        found += documents.image_differences(left, right)
    found = consequences.settle(found, held)
    base = None if rootfs else bases.replaced(left, right, pairs, found)
    if base:
        found = [base, *(replace(each, follows=True) if each.layer == base.layer else each for each in found)]
    labels = [pair.label for pair in pairs]
    return ImageComparison(left, right, tuple(pairs), consequences.ordered(found, labels))


def _equal(left: StoredImage, right: StoredImage, *, rootfs: bool) -> bool:
    """Whether digests alone say that two images are the same."""
    layers = [layer.digest for layer in left.layers] == [layer.digest for layer in right.layers]
    if rootfs:
        return layers
    if left.manifest and right.manifest:
        return left.manifest_digest == right.manifest_digest
    return layers and left.config_digest == right.config_digest
