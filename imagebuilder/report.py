"""Reports: the documents that commands print, and the same documents as text for people."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from imagebuilder import documents, text
from layers.canonical import Json
from layers.entry import Kind

if TYPE_CHECKING:
    from imagebuilder.cache import Usage
    from imagebuilder.outcome import BuildOutcome
    from layers.descriptor import Descriptor
    from layers.layer import Layer
    from layers.tarball import Member


def layer(found: "Layer") -> dict[str, Json]:
    """Describe a layer in as many columns as a terminal has."""
    return {"size": found.descriptor.size, "digest": found.descriptor.digest.value, "created_by": found.created_by}


def files(found: "Layer", members: "Iterable[Member]") -> dict[str, Json]:
    """Describe what a layer holds."""
    return {
        "digest": found.descriptor.digest.value,
        "created_by": found.created_by,
        "files": [
            {
                "mode": f"{member.mode:04o}",
                "owner": f"{member.uid}:{member.gid}",
                "size": member.size,
                "path": member.path + ("/" if member.kind is Kind.DIRECTORY else ""),
                "target": member.target,
            }
            for member in members
        ],
    }


def index(reference: str, described: "Descriptor", content: bytes) -> dict[str, Json]:
    """Describe an index: the images it names, each of which can be looked at by its digest."""
    named = [documents.descriptor(child) for child in documents.parse(content, "index").children("manifests")]
    return {
        "reference": f"{reference}@{described.digest}",
        "index_digest": described.digest.value,
        "manifests": [
            {"platform": str(each.platform or ""), "digest": each.digest.value, "size": each.size} for each in named
        ],
    }


def usage(found: "Usage", place: str) -> dict[str, Json]:
    """Describe the cache."""
    return {"cache": place, "blobs": found.blobs, "size": found.size, "results": found.results}


def summary(outcome: "BuildOutcome", *, seconds: float) -> list[str]:
    """Say what a build came to, below the lines of its steps."""
    cached = sum(layer.cached for layer in outcome.layers)
    made = f"{text.size(outcome.size)} in {len(outcome.layers)} layers, {cached} cached, {outcome.platform}"
    return [f"  done        {made}  {text.duration(seconds)}", f"  config      {outcome.config_digest}"]


def lines(document: Mapping[str, Json], *, most: int = 0) -> list[str]:
    """Write a document for people: a line for each value, a table for each list of objects; what is empty is left out.

    Nothing is said here that is not in the document, so `--json` never knows less. `most` cuts long lists.
    """
    shown = {key: value for key, value in document.items() if key != "schema" and value not in ("", (), [], {}, None)}
    width = max((len(key) for key in shown), default=0)
    found: list[str] = []
    for key, value in shown.items():
        label = key.replace("_", " ")
        if isinstance(value, Mapping):
            found += [label, *_indented(lines(value, most=most))]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            found += [label, *_indented(_cut(_rows(value), most))]
        else:
            found.append(f"{label.ljust(width)}  {_scalar(key, value)}")
    return found


def _rows(values: Sequence[Json]) -> list[str]:
    objects = [value for value in values if isinstance(value, Mapping)]
    if len(objects) < len(values):
        return [_scalar("", value) for value in values]
    if any(_objects(value) for value in objects[0].values()):  # too much for a row
        return [line for each in objects for line in lines(each)]
    keys = list(objects[0])
    head = tuple(key.replace("_", " ") for key in keys)
    return text.table([head, *(tuple(_cell(key, each.get(key)) for key in keys) for each in objects)])


def _objects(value: Json) -> bool:
    return isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value)


def _cell(key: str, value: Json) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if key == "command":
            return text.printable(shlex.join(str(word) for word in value))
        return text.printable(", ".join(str(item) for item in value))
    return _scalar(key, value)


def _scalar(key: str, value: Json) -> str:
    if key.endswith(("size", "freed")) and isinstance(value, int):
        return text.size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text.printable(str(value))


def _cut(rows: list[str], most: int) -> list[str]:
    hidden = len(rows) - most if most else 0
    return [*rows[:most], f"… and {hidden} more; `--json` lists all"] if hidden > 0 else rows


def _indented(rows: Iterable[str]) -> list[str]:
    return [f"  {row}" for row in rows]
