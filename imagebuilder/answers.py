"""Answers: what a build came to, written down to be told again, with the state of the files it rests on."""

import os
import time  # noqa: TID251 a clock that was set during the build makes the times of files worthless
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imagebuilder import again, report
from imagebuilder.display import json_line
from imagebuilder.outcome import BuildOutcome
from layers import content
from layers.values import replace

if TYPE_CHECKING:
    from imagebuilder.again import Files, Question, Record

# Further apart than this two clocks do not drift in a build.
_DRIFT_NS = 20_000_000


def write(record: "Record", outcome: BuildOutcome, question: "Question") -> None:
    """Write down what a build came to; `record` says what it rests on, but for the state of what it packed and wrote.

    Nothing is written if something that was packed may change again without a trace.
    """
    written = by_folder(_written(record, outcome, question))
    changed: list[int] = []
    states = [record["states"][0], again.state(record["listed"], changed), again.state(written)]
    if _clock_was_set(question) or not all(content.is_settled(each, question.asked_ns) for each in changed):
        return
    same = _again(outcome)
    pushed, packed = record["pushed"], record["packed"]
    again.write(
        {
            **record,
            "written": written,
            "states": states,
            "used": [each.digest.hex for each in outcome.layers],
            "pushed": pushed and {**pushed, "digest": outcome.manifest_digest.value},
            "told": None if record["told"] is None else _told(same),
            "answer": line(same, json=record["json"]),
            "packed": packed and {**packed, "outcome": outcome.to_json()},
        },
        question,
    )


def line(outcome: BuildOutcome, *, json: bool) -> str:
    """Return what a build writes to stdout."""
    return json_line(outcome.to_json()) if json else outcome.reference


def are_settled(found: Iterable[str], question: "Question") -> bool:
    """Say whether a change of a file that the build has not seen would show in the time of its last change."""
    return all(_is_settled(path, question) for path in found) and not _clock_was_set(question)


def by_folder(found: Iterable[str]) -> "Files":
    """Sort paths into folders."""
    folders: dict[str, list[str]] = {}
    for path in found:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return folders


def paths(files: "Files") -> Iterator[str]:
    """Yield the paths of files by folder."""
    return (f"{folder}/{name}" for folder, names in files.items() for name in names)


def _written(record: "Record", outcome: BuildOutcome, question: "Question") -> Iterator[str]:
    """Yield the files that were written: what else is in a layout is none of ours."""
    blobs = [*(each.digest for each in outcome.layers), outcome.config_digest, outcome.manifest_digest]
    for kind, place, _ in record["outputs"]:
        target = os.path.join(question.folder, place)  # noqa: PTH118
        if kind == "archive":
            yield target
            continue
        yield from (f"{target}/index.json", f"{target}/oci-layout")
        yield from (f"{target}/blobs/sha256/{digest.hex}" for digest in blobs)


def _is_settled(path: str, question: "Question") -> bool:
    try:
        changed_ns = os.lstat(path).st_ctime_ns
    except OSError:
        return True
    return content.is_settled(changed_ns, question.asked_ns)


def _clock_was_set(question: "Question") -> bool:
    """Say whether somebody set the clock since the command was given."""
    passed_ns = time.monotonic_ns() - question.clock_ns
    return abs(time.time_ns() - question.asked_ns - passed_ns) > _DRIFT_NS


def _again(outcome: BuildOutcome) -> BuildOutcome:
    """Return what comes of the same build once more."""
    return replace(
        outcome,
        layers=tuple(replace(layer, cached=True) for layer in outcome.layers),
        pushed=tuple(
            replace(each, tags=(), blobs=tuple((blob, "present") for blob, _ in each.blobs)) for each in outcome.pushed
        ),
        timings={},
    )


def _told(outcome: BuildOutcome) -> list[str]:
    return [
        "  unchanged   nothing has changed since the last build",
        *(f"  push        {each}" for each in outcome.pushed),
        *report.summary(outcome, seconds=0),
    ]
