"""The JSON schema of the documents that check, diff and audit print with `--json`."""

from collections.abc import Mapping
from typing import get_args

from imagebuilder.audit import InputName
from imagebuilder.reports.document import SCHEMA
from imagebuilder.reports.findings import State
from layers.canonical import Json
from reproducibility.causes import CAUSES, Group
from reproducibility.difference import Aspect, Part

_Schema = dict[str, Json]
_TEXT: _Schema = {"type": "string"}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_FLAG: _Schema = {"type": "boolean"}
_NAMES: _Schema = {"type": "array", "items": _TEXT}


def schema() -> _Schema:
    """Return the schema (JSON Schema, draft 2020-12)."""
    report = _object(
        {
            "schema": {"const": SCHEMA},
            "command": {"enum": ("check", "diff", "audit")},
            "same": _said(_FLAG, "whether both sides are the same, byte for byte"),
            "left": _said(_SUBJECT, "the first image; of a check the plain build, of an audit the published image"),
            "right": _said(_SUBJECT, "the second image; of a check another build, of an audit the rebuilt image"),
            "counts": _object({"differences": _COUNT, "consequences": _COUNT}),
            "causes": _list(_CAUSE),
            "images": _said(_list(_PAIR), "pairs of images of one platform"),
            "differences": _list(_DIFFERENCE),
        },
        {"scenarios": _SCENARIOS, "audit": _AUDIT},
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report of imagebuilder check, diff or audit",
        **report,
        "allOf": [_only("check", "scenarios"), _only("audit", "audit")],
    }


def _object(properties: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> _Schema:
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(item: Json) -> _Schema:
    return {"type": "array", "items": item}


def _texts(**described: str) -> _Schema:
    return {name: _said(_TEXT, description) for name, description in described.items()}


def _said(type_: _Schema, description: str) -> _Schema:
    return {**type_, "description": description} if description else type_


def _only(command: str, key: str) -> _Schema:
    """Have a key in the documents of one command, and in no others."""
    return {
        "if": {"properties": {"command": {"const": command}}},
        "then": {"required": [key]},
        "else": {"not": {"required": [key]}},
    }


_SUBJECT = _object(
    {
        **_texts(
            reference="what was named on the command line",
            digest="of the manifest or the index; of the config where an engine keeps neither",
            media_type="of what `digest` names",
        ),
        "images": _list(
            _object(
                {
                    **_texts(platform="os/architecture[/variant]", manifest_digest="", config_digest=""),
                    "size": _said(_COUNT, "of all layers as stored, in bytes"),
                }
            )
        ),
    }
)
_CAUSE = _object(
    {
        "cause": {"enum": list(CAUSES)},
        "group": {"enum": get_args(Group)},
        **_texts(title="", remedy="what makes it go away", example="a path where it was found"),
        "count": _said(_COUNT, "differences that stand for themselves"),
        "consequences": _said(_COUNT, "differences that only follow from others"),
        "blamed": _said(_NAMES, "variations of a check that bring it about"),
    }
)
_LAYER = _object(
    {
        "position": _said(_COUNT, "from the bottom"),
        **_texts(name="what its maker says of it", media_type="", digest="of the stored bytes", diff_id="of the tar"),
        "size": _said(_COUNT, "as stored, in bytes"),
    }
)
_PAIR = _object(
    {
        **_texts(platform="", left="digest of the manifest", right="digest of the manifest"),
        "layers": _list(
            _object(
                {
                    "layer": _said(_TEXT, "its label, as in the differences"),
                    "state": {"enum": get_args(State)},
                    "differences": _COUNT,
                    "left": _list(_LAYER),
                    "right": _list(_LAYER),
                }
            )
        ),
    }
)
_DIFFERENCE = _object(
    {
        **_texts(platform="of the image; empty for an index"),
        "part": {"enum": get_args(Part)},
        **_texts(
            layer="label of the layer; empty for documents",
            path="in the image without a leading slash, `archive!/member` inside archives, or of a field of a document",
        ),
        "aspect": {"enum": get_args(Aspect)},
        **_texts(left="short value, empty if this side has none", right="", note="evidence for the cause"),
        "cause": {"enum": list(CAUSES)},
        "follows": _said(_FLAG, "whether it is only the consequence of others"),
        "blamed": _said(_NAMES, "variations of a check that bring it about"),
        "size": _said(_COUNT, "of the file whose bytes it concerns, on the larger side"),
    },
    {
        "view": _object(
            {
                "kind": {"enum": ("text", "hex", "fields")},
                "lines": _said(_NAMES, "of a unified diff; of `fields`: name, left and right, separated by tabs"),
            }
        )
    },
)
_SCENARIOS = _object(
    {
        "builds": _list(
            _object(
                {
                    **_texts(reference="", digest=""),
                    "varied": {"type": "object", "additionalProperties": _TEXT},
                    "seconds": {"type": "number", "minimum": 0},
                }
            )
        ),
        "blamed": {"type": "object", "additionalProperties": _COUNT},
        "not_varied": {"type": "object", "additionalProperties": _said(_TEXT, "why")},
    }
)
_AUDIT = _object(
    {
        **_texts(reference="of the published image", digest="of the published image", folder="of the application"),
        "same": _FLAG,
        "images": _list(
            _object(
                {
                    **_texts(platform="", digest="", rebuilt="digest; empty if it could not be built"),
                    "same": _FLAG,
                    "inputs": _list(
                        _object(
                            {
                                "name": {"enum": get_args(InputName)},
                                **_texts(expected="what the image says", found="what is here", detail="for people"),
                                "same": _FLAG,
                            }
                        )
                    ),
                }
            )
        ),
        "not_audited": _said(_NAMES, "platforms that the lock knows nothing of"),
    }
)
