"""The document of `check --json`, `diff --json` and `audit --json`; its schema is in reports/schema.py."""

from collections.abc import Mapping, Sequence

from imagebuilder.reports import findings
from imagebuilder.reports.findings import Findings, FoundCause, FoundLayer
from layers.canonical import Json
from reproducibility.check import Built, Verdict
from reproducibility.difference import Difference, ImageComparison, View
from reproducibility.images import StoredImage, StoredLayer, Subject

SCHEMA = 1


def document(found: Findings) -> dict[str, Json]:
    """Describe everything that was found."""
    comparison = found.comparison
    described: dict[str, Json] = {
        "schema": SCHEMA,
        "command": found.command,
        "same": found.same,
        "left": _subject(comparison.left),
        "right": _subject(comparison.right),
        "counts": {"differences": found.count, "consequences": found.follows},
        "causes": [_cause(one) for one in findings.causes(found)],
        "images": [_pair(image) for image in comparison.images],
        "differences": [_difference(platform, one) for platform, one in found.differences],
    }
    if found.verdict:
        described["scenarios"] = _scenarios(found.verdict)
    if found.audit:
        described["audit"] = found.audit.to_json()
    return {key: encodable(value) for key, value in described.items()}


def _subject(subject: Subject) -> dict[str, Json]:
    return {
        "reference": subject.reference,
        "digest": subject.digest,
        "media_type": subject.media_type,
        "images": [
            {
                "platform": image.platform,
                "manifest_digest": image.manifest_digest,
                "config_digest": image.config_digest,
                "size": sum(layer.size for layer in image.layers),
            }
            for image in subject.images
        ],
    }


def _cause(one: FoundCause) -> dict[str, Json]:
    return {
        "cause": one.cause.key,
        "group": one.cause.group,
        "title": one.cause.title,
        "remedy": one.cause.remedy,
        "count": one.count,
        "consequences": one.follows,
        "example": one.example,
        "blamed": one.blamed,
    }


def _pair(image: ImageComparison) -> dict[str, Json]:
    return {
        "platform": image.left.platform,
        "left": image.left.manifest_digest,
        "right": image.right.manifest_digest,
        "layers": [_layers(image, one) for one in findings.layers(image)],
    }


def _layers(image: ImageComparison, one: FoundLayer) -> dict[str, Json]:
    return {
        "layer": one.pair.label,
        "state": one.state,
        "differences": one.count,
        "left": [_layer(image.left, place) for place in one.pair.left],
        "right": [_layer(image.right, place) for place in one.pair.right],
    }


def _layer(image: StoredImage, place: int) -> dict[str, Json]:
    layer: StoredLayer = image.layers[place]
    return {
        "position": place,
        "name": layer.name,
        "media_type": layer.media_type,
        "digest": layer.digest,
        "diff_id": layer.diff_id,
        "size": layer.size,
    }


def _difference(platform: str, one: Difference) -> dict[str, Json]:
    described: dict[str, Json] = {
        "platform": platform,
        "part": one.part,
        "layer": one.layer,
        "path": one.path,
        "aspect": one.aspect,
        "left": one.left,
        "right": one.right,
        "cause": one.cause,
        "note": one.note,
        "follows": one.follows,
        "blamed": one.blamed,
        "size": one.size,
    }
    if one.view:
        described["view"] = _view(one.view)
    return described


def _view(view: View) -> dict[str, Json]:
    return {"kind": view.kind, "lines": view.lines}


def _scenarios(verdict: Verdict) -> dict[str, Json]:
    return {
        "builds": [_build(built) for built in verdict.builds],
        "blamed": verdict.blamed,
        "not_varied": verdict.not_varied,
    }


def _build(built: Built) -> dict[str, Json]:
    return {
        "reference": built.subject.reference,
        "digest": built.subject.digest,
        "varied": built.varied,
        "seconds": round(built.seconds, 3),
    }


def encodable(value: Json) -> Json:
    """Write bytes that are no UTF-8, and other halves of surrogate pairs, as the text `\\udcff`.

    A lone surrogate makes some programs refuse the whole document.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {str(encodable(key)): encodable(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [encodable(item) for item in value]
    return value
