"""The JSON schema of `[tool.imagebuilder]`, for editors; made from the table of options."""

from imagebuilder.options import OPTIONS, Option
from imagebuilder.settings import FORMAT
from layers.canonical import Json

_TEXT: dict[str, Json] = {"type": "string"}
_LIST: dict[str, Json] = {"type": "array", "items": _TEXT}
_TYPES: dict[str, dict[str, Json]] = {
    "text": _TEXT,
    "list": _LIST,
    "text or list": {"anyOf": [_TEXT, _LIST]},
    "table": {"type": "object", "additionalProperties": _TEXT},
}


def schema() -> dict[str, Json]:
    """Return the schema (JSON Schema, draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "[tool.imagebuilder]",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "format": {"const": FORMAT, "description": "output format of the image"},
            **{option.key: _property(option) for option in OPTIONS if option.file},
        },
    }


def _property(option: Option) -> dict[str, Json]:
    described: dict[str, Json] = {**_TYPES[option.file], "description": option.help}
    if option.choices:
        described["enum"] = option.choices
    return described
