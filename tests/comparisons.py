"""Results of comparisons for tests of what is shown: made up, with every form that a report has to show."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from imagebuilder.audit import Audit, AuditedImage, AuditedInput
from layers.canonical import Json
from reproducibility.check import Built, Verdict
from reproducibility.difference import Comparison, Difference, ImageComparison, LayerPair, View
from reproducibility.images import StoredImage, StoredLayer, Subject

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
# Markup, bidirectional and terminal controls, bytes that are no UTF-8, half a surrogate pair, a line's end.
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(2)</script>",
    "exe.\u202egpj.tar",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "caf\udce9/na\ud800me",
    "two\nlines\r\ttabs\u2028\x00",
    "\"' onmouseover='alert(3)' ]]>&amp;&lt;",
    "\u2066txt.\u2069\u200fexe",
    "::error file=x::owned%0A",
    "javascript:alert(4)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "a/../../etc/passwd",
)


def digest(character: str) -> str:
    """Make something that looks like a digest."""
    return "sha256:" + (character * 64)[:64]


def _stored() -> Iterator[bytes]:
    yield b""


def image(reference: str, side: str, sizes: tuple[int, ...] = (31_200_000, 18_400_000, 9_100, 2_000)) -> StoredImage:
    """Make an image of which only the outside is looked at."""
    names = ("debian 13", "python 3.13.5", "site-packages", "workspace")
    config: Mapping[str, Json] = {"architecture": "amd64", "os": "linux"}
    layers = tuple(
        StoredLayer(names[place % 4], GZIP, digest(f"{side}{place}"), digest(f"d{side}{place}"), size, _stored)
        for place, size in enumerate(sizes)
    )
    return StoredImage(reference, "linux/amd64", digest(side), {}, digest(f"c{side}"), config, layers)


def subject(stored: StoredImage) -> Subject:
    """Name an image."""
    return Subject(stored.reference, stored.manifest_digest, MANIFEST, {}, (stored,))


PAIRS = (
    LayerPair("0 debian 13", (0,), (0,), "stored"),
    LayerPair("1 python 3.13.5", (1,), (1,), "tar"),
    LayerPair("2 site-packages", (2, 3), (2,), "no"),
    LayerPair("3 workspace", (), (3,), "no"),
)
DIFFERENCES = (
    Difference("file", "opt/venv/lib/python3.13/site-packages/shop/__init__.py", "content", "1.2 kB", "1.2 kB",
               "timestamp", "2 site-packages", "2024-05-01 12:00:01 in line 3", blamed=("clock",), size=1234,
               view=View("text", ("@@ -1,3 +1,3 @@", " import os", "-BUILT = '2024-05-01 12:00:01'",
                                  "+BUILT = '2025-06-05 12:00:44'", " \tend"))),
    Difference("file", "opt/venv/lib/python3.13/site-packages/shop/_speed.so", "content", "a", "b", "elf-path",
               "2 site-packages", "/tmp/build-abc", blamed=("source", "temp"), size=48_000,
               view=View("hex", ("@@ 0x1000 @@", "-00001000  2f 74 6d 70 2f 61  /tmp/a",
                                 "+00001000  2f 74 6d 70 2f 62  /tmp/b"))),
    Difference("file", "opt/venv/lib/python3.13/site-packages/shop/__pycache__/a.cpython-313.pyc", "content", "", "",
               "pyc-time", "2 site-packages", "", blamed=("clock",), size=900,
               view=View("fields", ("magic\t3571\t3571", "flags\t0\t0", "mtime\t2024-05-01\t2025-06-05"))),
    Difference("file", "workspace/app.py", "mtime", "2024-05-01T12:00:01Z", "2025-06-05T12:00:44Z", "mtime",
               "3 workspace", blamed=("clock",)),
    Difference("file", "workspace/data/only.bin", "presence", "", "file", "file-set", "3 workspace", size=220_000),
    Difference("layer", "", "compression", "gzip 6", "gzip 9", "compressor", "1 python 3.13.5"),
    Difference("config", "config.Labels.build", "value", "17", "18", "label"),
    Difference("config", "created", "value", "2024-05-01T12:00:01Z", "2025-06-05T12:00:44Z", "created"),
    Difference("config", "rootfs.diff_ids[2]", "value", digest("1"), digest("2"), "derived", follows=True),
    Difference("manifest", "layers[2].digest", "value", digest("3"), digest("4"), "derived", follows=True),
    Difference("file", "opt/venv/lib/python3.13/site-packages/shop-1.dist-info/RECORD", "content", "", "", "record",
               "2 site-packages", follows=True, size=3000),
)  # fmt: skip


def differing(*differences: Difference, pairs: tuple[LayerPair, ...] = PAIRS) -> Comparison:
    """Compare two images that have these differences."""
    left, right = image("registry.example/shop:1", "a"), image("oci:dist/shop.oci", "b")
    compared = ImageComparison(left, right, pairs, differences or DIFFERENCES)
    return Comparison(subject(left), subject(right), (compared,))


def same() -> Comparison:
    """Compare an image with itself, under another name."""
    left, right = image("registry.example/shop:1", "a"), image("oci:dist/shop.oci", "a")
    pairs = tuple(LayerPair(f"{place} layer", (place,), (place,), "stored") for place in range(4))
    return Comparison(subject(left), subject(right), (ImageComparison(left, right, pairs, ()),))


def hostile() -> Comparison:
    """Compare two images in which every name is an attack."""
    differences = [
        Difference("file", name, "content", name, name[::-1], "unknown", name, name, blamed=(name,), size=100,
                   view=View("text", (f"-{name}", f"+{name}")))
        for name in HOSTILE
    ]  # fmt: skip
    pairs = tuple(LayerPair(name, (0,), (0,), "no") for name in HOSTILE)
    found = differing(*differences, pairs=pairs)
    named = replace(found.images[0].left, reference=HOSTILE[0], platform=HOSTILE[0], manifest_digest=HOSTILE[0])
    images = (replace(found.images[0], left=named),)
    return replace(found, left=replace(found.left, reference=HOSTILE[0], digest=HOSTILE[0]), images=images)


def many(count: int) -> Comparison:
    """Compare two images with so many differing files, as two builds a minute apart would have them."""
    return differing(
        *(
            Difference(
                "file",
                f"opt/venv/lib/python3.13/site-packages/package{number % 300}/module{number % 17}/file{number}.py",
                "mtime" if number % 3 else "content",
                f"2024-05-01T12:{number // 60 % 60:02d}:{number % 60:02d}Z",
                f"2024-05-01T13:{number // 60 % 60:02d}:{number % 60:02d}Z",
                "mtime" if number % 3 else "timestamp",
                "2 site-packages",
                "" if number % 3 else "12:00:01 in line 3",
                size=0 if number % 3 else number * 7919 % 90_000,
            )
            for number in range(count)
        )
    )


def verdict(comparison: Comparison) -> Verdict:
    """Make the verdict of a check that came to this comparison."""
    varied = {"clock": "+400 days", "umask": "077", "source": "/tmp/other place/src"}
    builds = (
        Built(comparison.left, {}, {}, (0, 10), 2.5),
        Built(comparison.right, varied, {}, (0, 12), 2.75),
    )
    blamed = {} if comparison.same else {"clock": 3, "source + temp": 1, "chance": 1}
    return Verdict(builds, comparison, blamed, {"filesystem": "there is no other writable file system"})


def audit(comparison: Comparison | None) -> Audit:
    """Make an audit that came to this comparison; None: the image could not be rebuilt."""
    equal = comparison is not None and comparison.same
    inputs = (
        AuditedInput("format", "1", "1", same=True),
        AuditedInput("lock", digest("e"), digest("e" if equal else "f"), same=equal, detail="flask 3.1.0 -> 3.1.1"),
        AuditedInput("created", "2024-05-01T12:00:01Z", "2024-05-01T12:00:01Z", same=True, detail="from the image"),
    )
    rebuilt = digest("a" if equal else "b") if comparison else ""
    images = (AuditedImage("linux/amd64", digest("a"), rebuilt, inputs),)
    return Audit("registry.example/shop:1", digest("a"), ".", images, comparison, not_audited=("linux/arm64",))


def files_only() -> Comparison:
    """Compare images that differ, but not in their final file systems, which are all that counts."""
    found = differing()
    return replace(found, images=(replace(found.images[0], layers=(), differences=()),))
