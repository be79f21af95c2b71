"""layers.listing: what disagrees is found as `layers.wheel.merge` finds it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.digest import Digest
from layers.entry import Checksum, Entry, Stored, directory, file, symlink
from layers.errors import IntegrityError
from layers.listing import check, listing
from layers.wheel import merge

_PARTS = st.sampled_from(["a", "b", "a.b"])
_PATHS = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)
_ENTRIES = st.one_of(
    st.builds(file, _PATHS, st.sampled_from([b"", b"1", b"2"]), executable=st.booleans()),
    st.builds(symlink, _PATHS, st.sampled_from(["x", "y"])),
    st.builds(directory, _PATHS),
)
_WHEELS = st.lists(st.lists(_ENTRIES, max_size=4, unique_by=lambda entry: entry.path), max_size=3)


@given(_WHEELS)
def test_listings_disagree_if_and_only_if_entries_cannot_be_merged(wheels: list[list[Entry]]) -> None:
    try:
        merge((str(number), entries) for number, entries in enumerate(wheels))
    except IntegrityError as refused:
        with pytest.raises(IntegrityError) as caught:
            check((str(number), listing(entries)) for number, entries in enumerate(wheels))
        assert caught.value.code == refused.code == "IB512"
    else:
        check((str(number), listing(entries)) for number, entries in enumerate(wheels))


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        (file("lib/a.py", b"1"), file("lib/a.py", b"2"), "left and right both install lib/a.py"),
        (file("lib", b""), file("lib/a/b.py", b""), "left and right both install lib,"),
        (file("lib/a/b.py", b""), file("lib/a", b""), "right and left both install lib/a,"),
        (symlink("bin/python", "/usr/bin/python3"), file("bin/python", b""), "left and right both install bin/python"),
    ],
)
def test_the_error_names_both_and_the_path(left: Entry, right: Entry, told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        check([("other", {}), ("left", listing([left])), ("right", listing([right]))])


def test_hashes_of_a_record_are_believed_and_others_made_by_reading(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(b"content")
    sha256 = Checksum("sha256", bytes.fromhex(Digest.of(b"content").hex))
    recorded = file("a", Stored(tmp_path / "not there", 0, 7, checksum=sha256))
    assert listing([recorded]) == listing([file("a", Stored(archive, 0, 7))]) == listing([file("a", b"content")])
