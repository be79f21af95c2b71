"""Inputs: what a published image says it was made from, beside what is here; and which of them a difference is of."""

from collections.abc import Iterable, Mapping, Sequence

from imagebuilder import lock, parted
from imagebuilder.audit import AuditedInput, InputName
from imagebuilder.documents import Document
from imagebuilder.export import FORMAT
from imagebuilder.options import COMPRESSIONS
from imagebuilder.request import BuildRequest
from imagebuilder.settings import Given
from layers import canonical, compress
from layers.expression import expression
from layers.values import replace
from reproducibility.difference import Difference
from reproducibility.images import StoredImage

TAKEN = "the published image"

_FORMAT, _INPUTS, _COMPRESSION = (f"dev.imagebuilder.{name}" for name in ("format", "inputs", "compression"))
_TIME = expression(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_OF_CAUSE: Mapping[str, InputName] = {
    "base": "lock",
    "compression": "compression",
    "compressor": "compression",
    "config-field": "settings",
    "created": "created",
    "gzip-header": "compression",
    "interpreter": "lock",
    "label": "settings",
    "os-package": "lock",
    "platform": "platform",
    "python-package": "lock",
}
# Causes of fields like `author` and `variant`: those beside `config` are taken over from a base as they are.
_OF_BASE = ("config-field", "platform")
_PACKAGES = ("interpreter", "os-package", "python-package")
_LAUNCHERS = "cnb/process/"
# What a file of the application can differ in because it is another one; times and owners are ours to write.
_OF_SOURCE = ("presence", "kind", "mode", "link", "size", "content")
_SHOWN = 3


def is_ours(image: StoredImage) -> bool:
    """Say whether an image was made by imagebuilder."""
    return bool(_said(image, _FORMAT))


def platform(image: StoredImage) -> str:
    """Return the platform that an image was built for; a variant is that of its base."""
    return "/".join(image.platform.split("/")[:2])


def taken(image: StoredImage) -> dict[str, Given]:
    """Return what may have been a flag of the build and stands in the image, as if it were given again."""
    created = Document("config", image.config).text("created", "")
    said = _said(image, _COMPRESSION)
    # An engine, which keeps no manifest, keeps plain tars.
    kind = said.partition("-")[0] if image.manifest else "none"
    found = {
        "platform": platform(image),
        "created": created if _TIME.fullmatch(created) else "",  # never `now`, whoever wrote the image
        "compression": kind if kind in COMPRESSIONS else "",
    }
    return {key: Given((value,), TAKEN) for key, value in found.items() if value}


def stated(
    image: StoredImage, request: BuildRequest, *, given: Mapping[str, Given], stale: Sequence[str]
) -> tuple[AuditedInput, ...]:
    """Compare what an image says of its inputs with what is here; `stale` says why the lock here does not fit."""
    kinds = {
        "platform": (platform(image), str(request.platform)),
        "created": (Document("config", image.config).text("created", ""), request.created),
        "compression": (_said(image, _COMPRESSION), compress.identify(request.compression)),
    }
    names: tuple[InputName, ...] = ("platform", "created", "compression")
    return (
        _stated("format", _said(image, _FORMAT), FORMAT, f"this release writes format {FORMAT}"),
        *(_stated(name, *kinds[name], "" if name in given else f"taken from {TAKEN}") for name in names),
        _lock(image, request, stale),
    )


def explained(
    known: Iterable[AuditedInput], published: StoredImage, rebuilt: StoredImage, differences: Iterable[Difference]
) -> tuple[AuditedInput, ...]:
    """Say of all inputs whether they differ, now that it is known what differs in the images."""
    folder = Document("config", published.config).child("config", {}).text("WorkingDir", "").strip("/")
    by_input: dict[InputName, list[Difference]] = {}
    for one in differences:
        if not one.follows:
            by_input.setdefault(_input_of(one, folder), []).append(one)
    inputs = [_detailed(each, by_input.get(each.name, ())) for each in known]
    of_source = by_input.get("source", ())
    detail = _paths(of_source, f"{folder}/")
    inputs.append(AuditedInput("source", _own(published), _own(rebuilt), same=not of_source, detail=detail))
    of_settings = sorted(
        by_input.get("settings", ()), key=lambda one: (one.part != "config", "io.buildpacks" in one.path)
    )
    inputs.append(AuditedInput("settings", "", "", same=not of_settings, detail=_values(of_settings)))
    if all(each.same for each in inputs):
        unexplained = by_input.get("release", ())
        detail = f"all inputs are the same: another release made it otherwise ({_paths(unexplained, '')})"
        inputs.append(AuditedInput("release", "", "", same=not unexplained, detail=detail if unexplained else ""))
    return tuple(inputs)


def _own(image: StoredImage) -> str:
    """Return the diff_id of the layer of the application; a hash of those that a large one has."""
    own = [layer.diff_id for layer in image.layers if parted.is_part(layer.name)]
    found = own or [layer.diff_id for layer in image.layers[-1:]]
    return canonical.digest(found).value if len(found) > 1 else "".join(found)


def _said(image: StoredImage, name: str) -> str:
    """Return an annotation of an image, or the label of that name: engines keep no annotations."""
    annotations = Document("manifest", image.manifest).mapping("annotations")
    labels = Document("config", image.config).child("config", {}).mapping("Labels")
    return annotations.get(name, labels.get(name, ""))


def _stated(name: InputName, expected: str, found: str, detail: str) -> AuditedInput:
    """Compare two values; what the image does not say is no difference."""
    same = expected in ("", found)
    return AuditedInput(name, expected, found, same, "" if same and name == "format" else detail)


def _lock(image: StoredImage, request: BuildRequest, stale: Sequence[str]) -> AuditedInput:
    expected = _said(image, _INPUTS)
    pins = lock.read(request.source).get(str(request.platform))
    if pins is None and not (request.source / lock.FILE).exists():
        return AuditedInput("lock", expected, "", same=False, detail=f"there is no {lock.FILE} in {request.source}")
    found = pins.inputs.value if pins else ""
    if stale:
        return AuditedInput("lock", expected, found, same=False, detail=f"it does not fit: {'; '.join(stale[:_SHOWN])}")
    return _stated("lock", expected, found, "")


def _input_of(difference: Difference, folder: str) -> InputName:
    if _COMPRESSION in difference.path:
        return "compression"
    if difference.part == "config" and difference.cause in _OF_BASE and "." not in difference.path:
        return "lock"
    if difference.cause in _OF_CAUSE:
        return _OF_CAUSE[difference.cause]
    if difference.part == "file" and difference.path.startswith(_LAUNCHERS):
        return "settings"
    if difference.path.startswith(f"{folder}/") and difference.aspect in _OF_SOURCE:
        return "source"
    return "release"


def _detailed(known: AuditedInput, differences: Sequence[Difference]) -> AuditedInput:
    """Add to an input what of it differs in the images."""
    details = [known.detail, _values(differences)]
    return replace(known, same=known.same and not differences, detail="; ".join(filter(None, details)))


def _paths(differences: Sequence[Difference], below: str) -> str:
    sides = {(True, False): " (published only)", (False, True): " (here only)"}
    found = dict.fromkeys(
        one.path.removeprefix(below)
        + (sides.get((bool(one.left), bool(one.right)), "") if one.aspect == "presence" else "")
        for one in differences
    )
    return _listed(list(found))


def _values(differences: Sequence[Difference]) -> str:
    return _listed([f"{_name(one)}: {one.left or 'nothing'} -> {one.right or 'nothing'}" for one in differences])


def _name(difference: Difference) -> str:
    """Return the name of a package, which its difference notes, or of what else differs."""
    return (difference.note if difference.cause in _PACKAGES else "") or difference.path or difference.layer


def _listed(found: Sequence[str]) -> str:
    more = len(found) - _SHOWN
    return "; ".join([*found[:_SHOWN], *([f"{more} more"] if more > 0 else [])])
