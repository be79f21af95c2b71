"""Shapes: the parts that JSON schemas of our documents are made of."""

from collections.abc import Mapping

from layers.canonical import Json

Shape = dict[str, Json]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Shape = {"type": "string"}
COUNT: Shape = {"type": "integer", "minimum": 0}
FLAG: Shape = {"type": "boolean"}
TEXTS: Shape = {"type": "array", "items": TEXT}


def record(properties: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Shape:
    """Return the shape of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def listed(item: Json) -> Shape:
    """Return the shape of a list."""
    return {"type": "array", "items": item}


def texts(**described: str) -> Shape:
    """Return properties that are texts, with what is to be said of them."""
    return {name: said(TEXT, description) for name, description in described.items()}


def said(shape: Shape, description: str) -> Shape:
    """Describe a shape; nothing to say is left out."""
    return {**shape, "description": description} if description else shape
