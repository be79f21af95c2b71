import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder import patterns

# What moby/patternmatcher answers: pattern, path, whether the pattern matches the path or a folder it is in.
CASES = [
    ("a", "a", True), ("a", "b", False), ("a", "a/b/c", True), ("a", "b/a", False), ("a", "ab", False),
    ("a/b", "a/b", True), ("a/b", "a", False), ("a/b", "x/a/b", False),
    ("*", "a", True), ("*", "a/b", True), ("*.py", "a.py", True), ("*.py", "a/b.py", False), ("*.py", "axpy", False),
    ("a/*", "a", False), ("a/*", "a/b", True), ("a/*/c", "a/b/c", True), ("a/*/c", "a/c", False),
    ("?", "a", True), ("?", "ab", False), ("a?b", "a/b", False), ("a?b", "aüb", True),
    ("**", "a", True), ("**", "a/b", True), ("**/a", "a", True), ("**/a", "x/y/a", True), ("**/a", "xa", False),
    ("**/a", "x/a/z", True), ("**/*.py", "a.py", True), ("**/*.py", "x/y/a.py", True), ("a/**", "a", False),
    ("a/**", "a/b", True), ("a/**/z", "a/z", True), ("a/**/z", "a/b/c/z", True), ("a**/z", "ab/c/z", True),
    ("**a", "x/ya", True), ("**a*", "x/ya", False), ("**/a/**", "x/a/b", True), ("**/**/a", "a", True),
    ("[ab]", "a", True), ("[ab]", "c", False), ("[a-c]x", "bx", True), ("[^a]", "b", True), ("[^a]", "a", False),
    (r"[\]\-]", "]", True), (r"[\]\-]", "-", True), ("[à-ü]", "é", True), ("[.]", "x", False),
    (r"a\*", "a*", True), (r"a\*", "ab", False), (r"\d", "d", True), (r"\d", "5", False), ("a]", "a]", True),
    ("a+(b)|{c}.$^", "a+(b)|{c}.$^", True), ("a.c", "abc", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "matches"), CASES)
def test_a_pattern_covers_what_docker_says(pattern: str, path: str, matches: bool) -> None:
    assert bool(re.fullmatch(patterns.covering([pattern]), path, re.DOTALL)) is matches


def test_one_expression_answers_for_many_patterns() -> None:
    listed = [pattern for pattern, _, _ in CASES]
    for _, path, _ in CASES:
        together = bool(re.fullmatch(patterns.covering(listed), path, re.DOTALL))
        assert together == any(re.fullmatch(patterns.covering([pattern]), path, re.DOTALL) for pattern in listed)


@pytest.mark.parametrize("pattern", ["[", "a[", "[]a]", "[^", "[-]", "[x-]", "[-x]", "[a-b-c]", "a\\"])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=re.escape(pattern)):
        patterns.translated(pattern)


@pytest.mark.parametrize("pattern", ["**a**b**c", "*[^a]*[^a]*[^a]*", "**/a**/b**/c**/d"])
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=re.escape(pattern)):
        patterns.translated(pattern)


@pytest.mark.parametrize("pattern", ["*a" * 40 + "*b", "**/" * 60 + "b", "**/*a*a*a/" * 30 + "b", "?*" * 30 + "b"])
def test_a_pattern_of_many_wildcards_is_answered_at_once(pattern: str) -> None:
    regex = re.compile(patterns.covering([pattern]), re.DOTALL)
    assert not regex.fullmatch("/".join(["a" * 80] * 40))
    assert not regex.fullmatch("a" * 255)


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "*", "?", "*a", "a*", "*a*b*", "[ab]", "**"]), min_size=1, max_size=6)


@given(WORDS, st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab", "abab"]), min_size=1, max_size=6))
def test_keeping_the_first_place_that_fits_changes_no_answer(words: list[str], names: list[str]) -> None:
    pattern, path = "/".join(words), "/".join(names)
    source = patterns.covering([pattern])
    patient = source.replace("(?>", "(?:").replace("*?", "*").replace("(?:.*/)??", "(?:.*/)?")
    assert bool(re.fullmatch(source, path, re.DOTALL)) == bool(re.fullmatch(patient, path, re.DOTALL))


@pytest.mark.parametrize("path", ["a/b", "a*b", "[x]", "a\\b", "a?", "**"])
def test_an_escaped_path_matches_itself_alone(path: str) -> None:
    source = patterns.translated(patterns.escaped(path))
    assert re.fullmatch(source, path)
    assert not re.fullmatch(source, "aab")
