"""Regular expressions compiled when they are first used: the same as others, and none that is wrong."""

import gc
import importlib
import re
from pathlib import Path

import pytest

from layers.expression import expression

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("layers", "buildpacks", "reproducibility", "imagebuilder")
    for path in (ROOT / folder).rglob("*.py")
    if "import expression\n" in path.read_text()
)


def test_it_is_used_like_a_compiled_one() -> None:
    word = expression(r"(?P<first>a)B*", re.IGNORECASE)
    assert word.fullmatch("abb")["first"] == "a"
    assert word.sub("-", "xABBx") == "x-x"
    assert word.flags == re.compile(word.pattern, re.IGNORECASE).flags
    assert expression(rb"\d").findall(b"1a2") == [b"1", b"2"]


def test_a_wrong_one_is_found_when_it_is_used() -> None:
    wrong = expression("(")
    with pytest.raises(re.error):
        wrong.search("")


def test_every_expression_of_the_program_compiles() -> None:
    for name in MODULES:
        importlib.import_module(name)
    found = [each for each in gc.get_objects() if type(each) is expression and each.asked != ("(", 0)]
    assert len(found) > 200
    assert all(re.compile(*each.asked).pattern == each.pattern for each in found)
