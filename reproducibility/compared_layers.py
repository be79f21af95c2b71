"""Differences of the layers of two images: pair by pair, or of the file systems that they make together."""

from collections.abc import Iterator, Sequence

from layers.values import replace
from reproducibility import compression, entries, matching, rootfs
from reproducibility.content import Content
from reproducibility.difference import Aspect, Difference, LayerPair
from reproducibility.entries import Pair
from reproducibility.explanations import Explainer
from reproducibility.images import StoredImage, StoredLayer
from reproducibility.listing import Held, Listing, Member, Members
from reproducibility.unpack import Unpacker

_LINKS_MAX = 40
_NOTHING = Listing({}, {}, (), Content(-1, 0, 0))


class Comparer:
    """Compares the layers of two images of one platform."""

    def __init__(self, left: StoredImage, right: StoredImage, unpacker: Unpacker, explainer: Explainer) -> None:
        self._left = left.layers
        self._right = right.layers
        # An engine that keeps no manifest keeps no compressed layers either: how they were compressed is not known.
        self._compression_kept = bool(left.manifest and right.manifest)
        self._unpacker = unpacker
        self._explainer = explainer

    def pairs(self) -> list[LayerPair]:
        """Pair the layers of both sides; those that have no equal are unpacked for it."""
        pairs = matching.equal(self._left, self._right)
        left = matching.unpaired(range(len(self._left)), [pair.left for pair in pairs])
        right = matching.unpaired(range(len(self._right)), [pair.right for pair in pairs])
        self._unpacker.prepare([self._left[one] for one in left], [self._right[other] for other in right])
        pairs += matching.by_content(
            self._left,
            self._right,
            held={one: self._unpacker.listing(self._left[one]).members for one in left},
            held_right={other: self._unpacker.listing(self._right[other]).members for other in right},
        )
        return sorted(pairs, key=lambda pair: (pair.left or pair.right, pair.right))

    def layers(self, pairs: Sequence[LayerPair]) -> tuple[list[Difference], list[Held]]:
        """Compare the layers pair by pair; return also what those hold that are not the same."""
        found = matching.reordered(pairs)
        held = []
        for pair in pairs:
            if pair.same == "no":
                left, right = self._combined(self._left, pair.left), self._combined(self._right, pair.right)
                held.append(Held(pair.label, left.members, right.members))
                found += self._contents(left, right, pair)
            if len(pair.left) == len(pair.right) == 1:
                found += self._compression(pair)
        return found, held

    def file_systems(self) -> tuple[list[Difference], list[Held]]:
        """Compare what the layers make when they lie on top of each other."""
        self._unpacker.prepare(self._left, self._right)
        left, right = self._merged(self._left), self._merged(self._right)
        found = self._files(left.members, right.members, entries.pairs(left, right), "")
        return list(found), [Held("", left.members, right.members)]

    def _merged(self, layers: Sequence[StoredLayer]) -> Listing:
        return replace(_NOTHING, members=rootfs.merge([self._unpacker.listing(layer) for layer in layers]))

    def _combined(self, layers: Sequence[StoredLayer], positions: Sequence[int]) -> Listing:
        """Return what layers hold together: of the entries with one path the topmost."""
        listings = [self._unpacker.listing(layers[position]) for position in positions]
        if len(listings) == 1:
            return listings[0]
        members = {path: member for listing in listings for path, member in listing.members.items()}
        return replace(_NOTHING, members=members)

    def _contents(self, left: Listing, right: Listing, pair: LayerPair) -> Iterator[Difference]:
        if len(pair.left) != 1 or len(pair.right) != 1:
            sides = [", ".join(f"layer {position}" for position in side) for side in (pair.left, pair.right)]
            aspect: Aspect = "layering" if all(sides) else "presence"
            yield Difference("layer", "", aspect, sides[0], sides[1], "layering", pair.label)
            yield from self._files(left.members, right.members, entries.pairs(left, right), pair.label)
            return
        compared = entries.pairs(left, right)
        found = [
            *self._files(left.members, right.members, compared, pair.label),
            *entries.order(left.members, right.members, pair.label),
            *entries.twice(left, right, pair.label),
            *entries.manner(left, right, compared, pair.label),
        ]
        if not found:
            note = "the same entries, in headers that differ where no reader looks"
            found.append(Difference("layer", "", "format", "", "", "tar-format", pair.label, note))
        yield from found

    def _files(self, left: Members, right: Members, compared: Sequence[Pair], layer: str) -> Iterator[Difference]:
        yield from entries.presence(left, right, layer)
        yield from entries.headers(compared, layer)
        for one, other in compared:
            contents = _contents(one, other, left, right)
            if contents and not entries.same_bytes(*contents):
                yield from self._explainer.explain(one.path, *contents, layer=layer)

    def _compression(self, pair: LayerPair) -> list[Difference]:
        """Compare the compression; equal tars are read to their ends, since that they are equal is only claimed."""
        found = compression.differences(
            self._left[pair.left[0]],
            self._right[pair.right[0]],
            label=pair.label,
            same_tar=pair.same == "tar",
            unpacker=self._unpacker,
        )
        return found if self._compression_kept else []


def _contents(one: Member, other: Member, left: Members, right: Members) -> tuple[Content, Content] | None:
    """Return the contents of two members of one path, if they have any that are not compared elsewhere.

    Of two hard links the files that they name are compared; of a hard link and a file what it names and that file.
    """
    if one.kind == other.kind != "hard link":
        return one.content, other.content
    if {one.kind, other.kind} == {"file", "hard link"}:
        here, there = _named(one, left), _named(other, right)
        return (here.content, there.content) if here.kind == there.kind else None
    return None


def _named(member: Member, members: Members) -> Member:
    """Follow hard links to a file, as far as it is in the same layers."""
    for _ in range(_LINKS_MAX):
        if member.kind == "hard link":
            member = members.get(member.link, member)
    return member
