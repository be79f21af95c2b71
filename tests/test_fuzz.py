"""Each parser of bytes from outside is given some hundred changed inputs, the same in every run.

`python -m tests.fuzz TARGET --minutes N` goes on from there, guided by coverage.
"""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import once
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import BY_NAME, TARGETS, Target

INPUTS = 150
# What fuzzing has found.
FOUND = (
    ("requirements", b"x @ https://flask[async]==3.ny.whl#sha256=0\n"),
    ("requirements", b"https://[x/x-1.tar.gz\n"),
    ("requirements", b"x ; " + b"(" * 2000),
    ("pylock", b"lock-version = " + b"9" * 5000),
    ("poetry-lock", b"a = " + b"9" * 5000),
    ("pylock", b'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = ">=%s"\npackages = []\n' % (b"9" * 5000)),
    ("pipfile-lock", b'{"_meta":{},"default":{"x":{"version":"==1","markers":"%s"}}}' % (b"(" * 2000)),
    ("poetry-lock", BY_NAME["poetry-lock"].seeds(Path())[0].replace(b"extra == ", b"extra === ")),
    ("index-page", b'{"files":' + b"[" * 100_000),
    ("git-address", b"git+https://[x/y.git"),
    ("redirect", b"//[x"),
    ("docker-config", '{"auths":{"registry.example":{"auth":"é"}}}'.encode()),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_parser_refuses_what_it_does_not_understand_and_nothing_else_happens(target: Target, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    seeds = target.seeds(tmp_path / "seeds")
    accepted = [once(target, content, tmp_path) for content in mutated(seeds, count=INPUTS, seed=target.name)]
    # What is in a Pipfile.lock goes to a resolver in the end, and there is none.
    assert any(accepted[: len(seeds)]) or target.name == "pipfile-lock"
    assert len(accepted) == INPUTS


@pytest.mark.parametrize(("name", "content"), FOUND, ids=lambda value: str(value)[:40])
def test_what_was_found_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    assert not once(BY_NAME[name], content, tmp_path)
