"""Base images: whether two images stand on different ones."""

from collections.abc import Mapping, Sequence

from layers.canonical import Json
from reproducibility.difference import Difference, LayerPair
from reproducibility.images import StoredImage

_NAME = "org.opencontainers.image.base.digest"
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


def replaced(
    left: StoredImage, right: StoredImage, pairs: Sequence[LayerPair], differences: Sequence[Difference]
) -> Difference | None:
    """Return the difference of the bottom layer, if it is that of another base.

    The images say so themselves by a label or an annotation; of those that do not, os-release tells.
    """
    bottom = next((pair for pair in pairs if 0 in (*pair.left[:1], *pair.right[:1])), None)
    if bottom is None or bottom.same != "no":
        return None
    named = _base(left), _base(right)
    if all(named):
        other = named[0] != named[1]
    else:
        other = any(
            each.layer == bottom.label and each.path in _OS_RELEASE and each.aspect == "content" for each in differences
        )
    diff_ids = [side.layers[0].diff_id if side.layers else "" for side in (left, right)]
    values = named if all(named) else (diff_ids[0], diff_ids[1])
    return Difference("layer", "", "content", *values, "base", bottom.label) if other else None


def _base(image: StoredImage) -> str:
    config = image.config.get("config")
    labels = config.get("Labels") if isinstance(config, Mapping) else None
    return _text(labels) or _text(image.manifest.get("annotations"))


def _text(labels: Json) -> str:
    value = labels.get(_NAME) if isinstance(labels, Mapping) else None
    return value if isinstance(value, str) else ""
