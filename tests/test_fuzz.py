"""Each parser of bytes from outside is given some hundred changed inputs, the same in every run.

`python -m tests.fuzz TARGET --minutes N` goes on from there, guided by coverage.
"""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import once
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

INPUTS = 150


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_parser_refuses_what_it_does_not_understand_and_nothing_else_happens(target: Target, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    seeds = target.seeds(tmp_path / "seeds")
    accepted = [once(target, content, tmp_path) for content in mutated(seeds, count=INPUTS, seed=target.name)]
    # What is in a Pipfile.lock goes to a resolver in the end, and there is none.
    assert any(accepted[: len(seeds)]) or target.name == "pipfile-lock"
    assert len(accepted) == INPUTS
