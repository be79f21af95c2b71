"""Programs and libraries: why two ELF files differ, section by section."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest

from layers.expression import expression
from layers.values import dataclass
from reproducibility.content import Content
from reproducibility.contents import hexdump, sections, table, traces
from reproducibility.contents.finding import Finding, told
from reproducibility.contents.sections import Elf, Section
from reproducibility.difference import Difference, Known

_BUILD_IDS = (".note.gnu.build-id", ".note.go.buildid")
_LINKS = frozenset({*_BUILD_IDS, ".gnu_debuglink", ".gnu_debugdata"})
# Sections of addresses, hashes and search paths; strings are looked for in all others that are not code.
_NO_TEXTS = expression(
    r"\.(?:dyn|gnu\.|gnu_|hash|rel|eh_frame|note|got|plt|comment|debug_(?:info|abbrev|aranges|loc|ran))"
)
_TEXT = expression(rb"[\t\x20-\x7e]{6,}")
_PRODUCER = expression(r"GNU (?:C|C\+\+|AS|Fortran|GIMPLE|Go)|clang |clang version|rustc |Go cmd/compile")
_TEXTS_MAX = 100_000
_TEXT_BYTES_MAX = 16 << 20
_LONE_MAX = 2000
_PAIRS_MAX = 100
_NAMED = 4
_ROWS_MAX = 40
_TEXT_MAX = 1000
_COMMENT_MAX = 4096


@dataclass(frozen=True, slots=True)
class _Change:
    """A section that differs, or that one side lacks."""

    name: str
    left: Section | None
    right: Section | None

    @property
    def executable(self) -> bool:
        """Whether it is machine code on either side."""
        return any(section is not None and section.executable for section in (self.left, self.right))

    @property
    def resized(self) -> bool:
        """Whether it takes another size, so that what lies behind it has other addresses."""
        return self.left is None or self.right is None or self.left.size != self.right.size

    @property
    def words(self) -> str:
        """Its name, and whether one side lacks it."""
        return self.name if self.left and self.right else f"{self.name} on one side"


# The texts that are only on the left, and those only on the right, in their order.
_Texts = tuple[list[str], list[str]]


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two ELF files, one difference for each cause; None if one of them is none, or is damaged."""
    here, there = sections.read(left), sections.read(right)
    if here is None or there is None:
        return None
    changes = _changes(here, there)
    texts = _lone_texts(here, there, changes)
    found = _findings(here, there, changes, texts, known)
    if not found:
        at = hexdump.first_difference_of_files(left, right)
        found = [Finding("elf-code", "", "", f"bytes outside of its sections, from byte {at} on")]
    view = table.view(_rows(here, there, changes, texts)) if views else None
    return told(path, found, view)


def _changes(left: Elf, right: Elf) -> list[_Change]:
    """Return the sections that differ; of several of one name, the first belongs to the first of the other side."""
    here, there = _numbered(left), _numbered(right)
    return [
        _Change(name, here.get((name, place)), there.get((name, place)))
        for name, place in dict.fromkeys([*here, *there])
        if not _same(here.get((name, place)), there.get((name, place)))
    ]


def _numbered(elf: Elf) -> Mapping[tuple[str, int], Section]:
    names: Counter[str] = Counter()
    found = {}
    for section in elf.sections:
        found[section.name, names[section.name]] = section
        names[section.name] += 1
    return found


def _same(left: Section | None, right: Section | None) -> bool:
    return (
        left is not None and right is not None and left.size == right.size and hexdump.same(left.content, right.content)
    )


def _lone_texts(left: Elf, right: Elf, changes: list[_Change]) -> _Texts:
    texts = [change for change in changes if not change.executable and not _NO_TEXTS.match(change.name)]
    here = _texts(left, [change.left for change in texts])
    there = _texts(right, [change.right for change in texts])
    return _lone(here, there), _lone(there, here)


def _texts(elf: Elf, changed: list[Section | None]) -> Mapping[bytes, None]:
    found: dict[bytes, None] = {}
    left = _TEXT_BYTES_MAX
    for section in changed:
        content = sections.plain(elf, section, left) if section else b""
        left -= len(content)
        found |= dict.fromkeys(match[0] for match in islice(_TEXT.finditer(content), _TEXTS_MAX - len(found)))
    return found


def _lone(these: Mapping[bytes, None], those: Mapping[bytes, None]) -> list[str]:
    return [text[:_TEXT_MAX].decode() for text in islice((text for text in these if text not in those), _LONE_MAX)]


def _findings(left: Elf, right: Elf, changes: list[_Change], texts: _Texts, known: Known) -> list[Finding]:
    if left.head != right.head:
        return [Finding("platform", left.head, right.head, "")]
    traced, enough = _traces(texts, known)
    found = [*_search_paths(left, right), *traced]
    found += _compilers(left, right, texts) or _code(changes, explained=bool(found) and enough)
    return found + _links(left, right, changes, explained=bool(found))


def _search_paths(left: Elf, right: Elf) -> list[Finding]:
    here, there = sections.search_paths(left), sections.search_paths(right)
    if here == there:
        return []
    names = sorted(here.keys() | there.keys())
    return [Finding("rpath", ":".join(here.values()), ":".join(there.values()), " and ".join(names))]


def _traces(texts: _Texts, known: Known) -> tuple[list[Finding], bool]:
    """Find what the texts that differ give away, and whether that explains most of them."""
    found: dict[str, Finding] = {}
    explained = 0
    for left, right in islice(_paired(*texts), _PAIRS_MAX):
        trace = traces.trace(left.encode(), right.encode(), known=known)
        if trace is not None:
            explained += 1
            cause = "elf-path" if trace.cause == "build-path" else trace.cause
            found.setdefault(cause, Finding(cause, left, right, ""))
    return list(found.values()), 2 * explained >= min(max(map(len, texts)), _PAIRS_MAX)


def _paired(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    """Pair texts that end in the same name of a file, and then what is left in its order: linkers sort as they like."""
    here, there = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for texts, by_name in ((left, here), (right, there)):
        for text in texts:
            by_name[text.rpartition("/")[2]].append(text)
    both = [pair for name in sorted(here.keys() & there.keys()) for pair in zip(here[name], there[name], strict=False)]
    yield from both
    done = {text for pair in both for text in pair}
    yield from zip(*([text for text in texts if text not in done] for texts in (left, right)), strict=False)


def _compilers(left: Elf, right: Elf, texts: _Texts) -> list[Finding]:
    """Tell compilers apart by what they leave behind, and their flags by what debug information keeps of them."""
    here, there = (
        [_comment(elf), *filter(_PRODUCER.match, lone)] for elf, lone in zip((left, right), texts, strict=True)
    )
    for one, other in zip(here, there, strict=False):
        if one != other:
            return [Finding("elf-code", one, other, "compiler or its flags")]
    return []


def _comment(elf: Elf) -> str:
    section = elf.named(".comment")
    lines = section.content.read(0, _COMMENT_MAX).split(b"\0") if section else []
    return ", ".join(dict.fromkeys(line.decode("utf-8", "surrogateescape") for line in lines if line))


def _code(changes: list[_Change], *, explained: bool) -> list[Finding]:
    """Report machine code that differs, and other sections if nothing else explains them."""
    code = [change for change in changes if change.executable]
    rest = [change for change in changes if change.name not in (*_LINKS, ".shstrtab")]
    shown = code or ([] if explained else rest)
    if not shown:
        return []
    # A longer text moves what lies behind it: the code then differs in nothing but addresses.
    moved = explained and any(change.resized for change in rest) and not any(change.resized for change in code)
    names = ", ".join(change.words for change in shown[:_NAMED])
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    note = f"{names}{more}{': the same size at other addresses' if moved else ''}"
    return [Finding("elf-code", _size(shown[0].left), _size(shown[0].right), note, follows=moved)]


def _links(left: Elf, right: Elf, changes: list[_Change], *, explained: bool) -> list[Finding]:
    """Report the build id and what leads to separate debug information."""
    names = [change.name for change in changes if change.name in _LINKS]
    if not names:
        return []
    here, there = ("".join(sections.note(elf, name) for name in _BUILD_IDS) for elf in (left, right))
    alone = "" if explained else ": it is random, or tells of what was stripped"
    return [Finding("build-id", here, there, f"{', '.join(names)}{alone}", follows=explained)]


def _size(section: Section | None) -> str:
    return "" if section is None else f"{section.size} bytes"


def _rows(left: Elf, right: Elf, changes: list[_Change], texts: _Texts) -> Iterator[tuple[str, str, str]]:
    yield "kind", left.head, right.head
    yield "compiler", _comment(left), _comment(right)
    here, there = sections.search_paths(left), sections.search_paths(right)
    for name in sorted(here.keys() | there.keys()):
        yield name, here.get(name, ""), there.get(name, "")
    for name in _BUILD_IDS:
        yield name, sections.note(left, name), sections.note(right, name)
    for change in [change for change in changes if change.name not in _BUILD_IDS][:_ROWS_MAX]:
        yield change.name, _size(change.left), _size(change.right)
    for one, other in islice(zip_longest(*texts, fillvalue=""), _ROWS_MAX):
        yield "text", one, other
