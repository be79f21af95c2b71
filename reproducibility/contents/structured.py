"""Structured documents: why two JSON or TOML files differ, field by field."""

import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from layers.canonical import Json
from layers.expression import expression
from reproducibility import fields
from reproducibility.contents import table, traces
from reproducibility.contents.traces import Finding, Trace
from reproducibility.difference import Known, View
from reproducibility.fields import Field

# Larger documents are compared as text: the standard library takes too long for them.
_JSON_MAX = 4 << 20
_TOML_MAX = 64 << 10
_FIELDS_MAX = 1000
_PLACES_MAX = 50
_ROWS_MAX = 100
_TOML = (".toml", "Pipfile")
_POSITION = expression(r"\[\d+\]")


def differing(path: str, left: bytes, right: bytes) -> Sequence[Field] | None:
    """Read two JSON or TOML documents and return the fields in which they differ; None if one of them is none."""
    here, there = _document(path, left), _document(path, right)
    if here is None or there is None:
        return None
    found = list(islice(fields.differing(here, there), _FIELDS_MAX))
    # Of equal TOML documents the comments differ, which are text.
    return None if not found and path.endswith(_TOML) else found


def finding(differing: Sequence[Field], *, known: Known) -> Finding:
    """Tell why two documents differ in these fields; in none if only the way they are written is another."""
    if not differing:
        return Finding("set-order", note="equal values, in another order or with other spaces")
    reordered = _reordered(differing)
    return traces.weigh(
        [
            (one.path, Trace("set-order", one.left, one.right) if _list(one) in reordered else _trace(one, known))
            for one in differing[:_PLACES_MAX]
        ]
    )


def view(differing: Sequence[Field]) -> View:
    """Show the fields that differ."""
    return table.view((one.path, one.left, one.right) for one in differing[:_ROWS_MAX])


def _document(path: str, content: bytes) -> Mapping[str, Json] | None:
    try:
        if path.endswith(_TOML) and len(content) <= _TOML_MAX:
            document: Json = tomllib.loads(content.decode())
        elif content[:1] in (b"{", b"[") and len(content) <= _JSON_MAX:
            document = json.loads(content)
        else:
            return None
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list):
        return {f"[{place}]": part for place, part in enumerate(document)}
    return document if isinstance(document, Mapping) else None


def _list(field: Field) -> str:
    """Return the path of a field without positions in lists."""
    return _POSITION.sub("[]", field.path)


def _reordered(differing: Iterable[Field]) -> set[str]:
    """Return the paths, without positions, at which both sides have the same values in other positions."""
    values: dict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for one in differing:
        values[_list(one)][0][one.left] += 1
        values[_list(one)][1][one.right] += 1
    return {path for path, (left, right) in values.items() if left == right}


def _trace(field: Field, known: Known) -> Trace:
    # The name of a field is evidence as well: HOSTNAME, sha256.
    pieces = (f"{field.keys[-1]}={value}".encode("utf-8", "surrogatepass") for value in (field.left, field.right))
    return traces.trace(*pieces, known=known) or Trace("", field.left, field.right)
