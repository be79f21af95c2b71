"""Fields of JSON documents that are not the same, whether or not anybody knows what they mean."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping

from layers.canonical import Json
from layers.values import dataclass
from reproducibility.difference import Aspect

_SHORT = 300
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Field:
    """A field that differs: its keys from the root, the same as a dotted path, and both values as short text."""

    keys: tuple[str, ...]
    path: str
    aspect: Aspect
    left: str
    right: str


def differing(left: Mapping[str, Json], right: Mapping[str, Json]) -> Iterator[Field]:
    """Yield the fields in which two documents differ, by the smallest part that tells them apart.

    Documents may be nested as deeply as their reader allowed: nothing here calls itself for each level.
    """
    pending: list[tuple[tuple[str, ...], Json, Json]] = [((), left, right)]
    while pending:
        keys, one, other = pending.pop()
        if keys and keys[-1] == "Env" and (variables := (_variables(one), _variables(other)))[0] and variables[1]:
            if list(variables[0]) != list(variables[1]) and variables[0].keys() == variables[1].keys():
                yield Field(keys, _path(keys), "order", *(" ".join(side)[:_SHORT] for side in variables))
            one, other = variables
        parts = _parts(one), _parts(other)
        if parts[0] is None or parts[1] is None:
            if repr(one) != repr(other):  # apart from each other: 1, 1.0 and true; the same: NaN
                yield Field(keys, _path(keys), "value", *_values(one, other))
            continue
        for key in {**parts[0], **parts[1]}:
            if key in parts[0] and key in parts[1]:
                pending.append(((*keys, key), parts[0][key], parts[1][key]))
            else:
                sides = [_cut(_text(side[key])) if key in side else "" for side in (parts[0], parts[1])]
                yield Field((*keys, key), _path((*keys, key)), "presence", sides[0], sides[1])


def _values(one: Json, other: Json) -> tuple[str, str]:
    """Return two values for people; of long ones what is around the place where they part."""
    texts = _text(one), _text(other)
    if max(map(len, texts)) <= _SHORT:
        return texts
    pairs = enumerate(zip(*texts, strict=False))
    part = next((at for at, (left, right) in pairs if left != right), min(map(len, texts)))
    start = max(part - _SHORT // 2, 0)
    return _cut(texts[0], start), _cut(texts[1], start)


def _cut(text: str, start: int = 0) -> str:
    before, after = "…" if start else "", "…" if len(text) > start + _SHORT else ""
    return f"{before}{text[start : start + _SHORT]}{after}"


def _text(value: Json) -> str:
    """Return text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    pruned = _pruned(value, _DEPTH)
    return json.dumps(pruned, sort_keys=True, ensure_ascii=False)  # noqa: TID251 shown, neither hashed nor stored


def _variables(value: Json) -> dict[str, Json]:
    """Return a list of `NAME=value` by name; nothing if it is anything else, or names one twice."""
    if not isinstance(value, list) or not all(isinstance(line, str) and "=" in line for line in value):
        return {}
    lines = [line.partition("=") for line in value if isinstance(line, str)]
    most = max(Counter(name for name, _, _ in lines).values(), default=2)
    return {f"[{name}]": text for name, _, text in lines} if most == 1 else {}


def _parts(value: Json) -> Mapping[str, Json] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple):
        return {f"[{position}]": part for position, part in enumerate(value)}
    return None


def _path(keys: tuple[str, ...]) -> str:
    return "".join(key if key.startswith("[") else f".{key}" for key in keys).removeprefix(".")


def _pruned(value: Json, depth: int) -> Json:
    parts = _parts(value)
    if parts is None:
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value
    if not depth:
        return "…"
    if isinstance(value, Mapping):
        return {key: _pruned(part, depth - 1) for key, part in parts.items()}
    return [_pruned(part, depth - 1) for part in parts.values()]
