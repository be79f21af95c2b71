"""The JSON schema of the documents that check, diff and audit print with `--json`."""

from typing import get_args

from imagebuilder.audit import InputName
from imagebuilder.reports import shapes
from imagebuilder.reports.document import SCHEMA
from imagebuilder.reports.findings import State
from imagebuilder.reports.shapes import Shape
from reproducibility.causes import CAUSES, Group
from reproducibility.difference import Aspect, Part


def schema() -> Shape:
    """Return the schema (JSON Schema, draft 2020-12)."""
    report = shapes.record(
        {
            "schema": {"const": SCHEMA},
            "command": {"enum": ("check", "diff", "audit")},
            "same": shapes.said(shapes.FLAG, "whether both sides are the same, byte for byte"),
            "left": shapes.said(
                _SUBJECT, "the first image; of a check the plain build, of an audit the published image"
            ),
            "right": shapes.said(_SUBJECT, "the second image; of a check another build, of an audit the rebuilt image"),
            "counts": shapes.record({"differences": shapes.COUNT, "consequences": shapes.COUNT}),
            "causes": shapes.listed(_CAUSE),
            "images": shapes.said(shapes.listed(_PAIR), "pairs of images of one platform"),
            "differences": shapes.listed(_DIFFERENCE),
        },
        {"scenarios": _SCENARIOS, "audit": _AUDIT},
    )
    return {
        "$schema": shapes.DRAFT,
        "title": "report of imagebuilder check, diff or audit",
        **report,
        "allOf": [_only("check", "scenarios"), _only("audit", "audit")],
    }


def _only(command: str, key: str) -> Shape:
    """Have a key in the documents of one command, and in no others."""
    return {
        "if": {"properties": {"command": {"const": command}}},
        "then": {"required": [key]},
        "else": {"not": {"required": [key]}},
    }


_SUBJECT = shapes.record(
    {
        **shapes.texts(
            reference="what was named on the command line",
            digest="of the manifest or the index; of the config where an engine keeps neither",
            media_type="of what `digest` names",
        ),
        "images": shapes.listed(
            shapes.record(
                {
                    **shapes.texts(platform="os/architecture[/variant]", manifest_digest="", config_digest=""),
                    "size": shapes.said(shapes.COUNT, "of all layers as stored, in bytes"),
                }
            )
        ),
    }
)
_CAUSE = shapes.record(
    {
        "cause": {"enum": list(CAUSES)},
        "group": {"enum": get_args(Group)},
        **shapes.texts(title="", remedy="what makes it go away", example="a path where it was found"),
        "count": shapes.said(shapes.COUNT, "differences that stand for themselves"),
        "consequences": shapes.said(shapes.COUNT, "differences that only follow from others"),
        "blamed": shapes.said(shapes.TEXTS, "variations of a check that bring it about"),
    }
)
_LAYER = shapes.record(
    {
        "position": shapes.said(shapes.COUNT, "from the bottom"),
        **shapes.texts(
            name="what its maker says of it", media_type="", digest="of the stored bytes", diff_id="of the tar"
        ),
        "size": shapes.said(shapes.COUNT, "as stored, in bytes"),
    }
)
_PAIR = shapes.record(
    {
        **shapes.texts(platform="", left="digest of the manifest", right="digest of the manifest"),
        "layers": shapes.listed(
            shapes.record(
                {
                    "layer": shapes.said(shapes.TEXT, "its label, as in the differences"),
                    "state": {"enum": get_args(State)},
                    "differences": shapes.COUNT,
                    "left": shapes.listed(_LAYER),
                    "right": shapes.listed(_LAYER),
                }
            )
        ),
    }
)
_DIFFERENCE = shapes.record(
    {
        **shapes.texts(platform="of the image; empty for an index"),
        "part": {"enum": get_args(Part)},
        **shapes.texts(
            layer="label of the layer; empty for documents",
            path="in the image without a leading slash, `archive!/member` inside archives, or of a field of a document",
        ),
        "aspect": {"enum": get_args(Aspect)},
        **shapes.texts(left="short value, empty if this side has none", right="", note="evidence for the cause"),
        "cause": {"enum": list(CAUSES)},
        "follows": shapes.said(shapes.FLAG, "whether it is only the consequence of others"),
        "blamed": shapes.said(shapes.TEXTS, "variations of a check that bring it about"),
        "size": shapes.said(shapes.COUNT, "of the file whose bytes it concerns, on the larger side"),
    },
    {
        "view": shapes.record(
            {
                "kind": {"enum": ("text", "hex", "fields")},
                "lines": shapes.said(
                    shapes.TEXTS, "of a unified diff; of `fields`: name, left and right, separated by tabs"
                ),
            }
        )
    },
)
_SCENARIOS = shapes.record(
    {
        "builds": shapes.listed(
            shapes.record(
                {
                    **shapes.texts(reference="", digest=""),
                    "varied": {"type": "object", "additionalProperties": shapes.TEXT},
                    "seconds": {"type": "number", "minimum": 0},
                }
            )
        ),
        "blamed": {"type": "object", "additionalProperties": shapes.COUNT},
        "not_varied": {"type": "object", "additionalProperties": shapes.said(shapes.TEXT, "why")},
    }
)
_AUDIT = shapes.record(
    {
        **shapes.texts(
            reference="of the published image", digest="of the published image", folder="of the application"
        ),
        "same": shapes.FLAG,
        "images": shapes.listed(
            shapes.record(
                {
                    **shapes.texts(platform="", digest="", rebuilt="digest; empty if it could not be built"),
                    "same": shapes.FLAG,
                    "inputs": shapes.listed(
                        shapes.record(
                            {
                                "name": {"enum": get_args(InputName)},
                                **shapes.texts(
                                    expected="what the image says", found="what is here", detail="for people"
                                ),
                                "same": shapes.FLAG,
                            }
                        )
                    ),
                }
            )
        ),
        "not_audited": shapes.said(shapes.TEXTS, "platforms that the lock knows nothing of"),
    }
)
