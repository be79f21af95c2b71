"""The OCI image specification's own JSON schemas as judges of our documents."""

import json
from pathlib import Path

from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

FOLDER = Path(__file__).parent / "schemas"


def check(kind: str, document: bytes) -> None:
    """Raise ValidationError unless a document is what the schema `image-manifest`, `config`, … says."""
    Draft4Validator(_schema(f"{kind}-schema.json"), registry=Registry(retrieve=_retrieve)).validate(
        json.loads(document)
    )


def _retrieve(uri: str) -> Resource:
    # The schemas name each other by file, relative to ids that nest: only the file's name is to be trusted.
    return Resource(_schema(uri.rpartition("/")[2]), DRAFT4)


def _schema(name: str) -> dict[str, object]:
    schema: dict[str, object] = json.loads((FOLDER / name).read_text())
    return schema
