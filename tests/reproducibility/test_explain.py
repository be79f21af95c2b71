"""Every cause that the contents of text, documents, records and unknown binary files give away, by pairs as tools
write them."""

import difflib
import pickle
import struct
from dataclasses import dataclass, replace

import pytest

from reproducibility.difference import Difference, Known, View
from reproducibility.explain import explain, refine
from tests.reproducibility.pairs import content

NOTHING = Known()
BUILDS = Known(
    left={
        "path": ("/srv/one/checkout", "/srv/one/store"),
        "home": ("/srv/one/home",),
        "host": ("maple",),
        "user": ("alice",),
        "zone": ("UTC",),
        "locale": ("C.UTF-8",),
        "environment": ("some noise",),
    },
    right={
        "path": ("/data/an other/deep er", "/data/store"),
        "home": ("/nonexistent",),
        "host": ("oak-with-a-long-name",),
        "user": ("nobody",),
        "zone": ("Asia/Kathmandu",),
        "locale": ("de_DE.UTF-8",),
        "environment": ("other noise",),
    },
    left_times=(1_783_000_000, 1_783_000_100),
    right_times=(1_817_560_000, 1_817_560_100),
)


@dataclass(frozen=True)
class Pair:
    """Two contents of one path, the cause of their difference, and what must be shown of each."""

    cause: str
    path: str
    left: bytes
    right: bytes
    shown: tuple[str, str] | None = None
    known: Known = NOTHING

    @property
    def swapped(self) -> "Pair":
        known = Known(self.known.right, self.known.left, self.known.right_times, self.known.left_times)
        return replace(self, left=self.right, right=self.left, shown=self.shown and self.shown[::-1], known=known)


def text(cause: str, left: str, right: str, *shown: str, path: str = "app/_built.py", known: Known = NOTHING) -> Pair:
    return Pair(cause, path, left.encode(), right.encode(), (shown[0], shown[1]) if shown else None, known)


def differences(pair: Pair, *, views: bool = True) -> tuple[Difference, ...]:
    with content(pair.left) as left, content(pair.right) as right:
        return explain(pair.path, left, right, known=pair.known, views=views)


def only(pair: Pair) -> Difference:
    (found,) = differences(pair)
    return found


DATES = [
    # Another zone and the same second, but more than a year apart.
    ("Mon Jan  5 10:00:00 UTC 2026", "Tue Feb  9 15:45:00 +0545 2027"),
    ("2026-01-05T10:00:00+00:00", "2027-02-09T15:45:00+05:45"),
    ("2026-01-05T10:00:00+00:00", "2027-02-09T11:31:07+00:00"),
    ("2026-01-05 10:00:00.123456", "2027-02-09 11:31:07.654321"),
    ("2026/01/05", "2027/02/09"),
    ("Mon Jan  5 10:00:00 UTC 2026", "Tue Feb  9 11:31:07 UTC 2027"),
    ("Mon, 05 Jan 2026 10:00:00 +0000", "Tue, 09 Feb 2027 11:31:07 +0000"),
    ("5 January 2026", "9 February 2027"),
    ("Jan  5 2026", "Feb  9 2027"),
    ("10:00:00", "11:31:07"),
    ("20260105", "20270209"),
    ("20260105T100000Z", "20270209T113107Z"),
    ("1767607200", "1802172667"),
    ("1767607200.123", "1802172667.99"),
    ("1767607200123", "1802172667990"),
    ("1767607200123456789", "1802172667990456789"),
    ("Monday", "Tuesday"),
    ("0.1.dev1+g206ab9d03.d20261120", "0.1.dev1+g206ab9d03.d20261123"),
    ("took 12.34s", "took 9.87s"),
]
ZONES = [
    ("Thu Jan  1 00:00:00 UTC 1970", "Wed Dec 31 19:00:00 EST 1969"),
    ("Sun, 01 Mar 2026 01:00:00 +0000", "Sat, 28 Feb 2026 20:00:00 -0500"),
    ("2026-01-05T23:00:00+00:00", "2026-01-06T04:45:00+05:45"),
    ("Mon Jan  5 10:00:00 UTC 2026", "Mon Jan  5 15:45:00 +0545 2026"),
    ("2026-01-05T10:00:00+00:00", "2026-01-05T11:00:00+01:00"),
    ("2026-01-05 10:00:00", "2026-01-05 15:45:00"),
    ("Europe/Berlin", "Asia/Kathmandu"),
    ("CET", "UTC"),
    ("+0200", "+0000"),
]
LOCALES = [
    ("3.50", "3,50"),
    ("1,234.5", "1.234,5"),
    ("1234567", "1.234.567"),
    ("1 234", "1,234"),
    ("en_US.UTF-8", "C"),
    ("UTF-8", "ANSI_X3.4-1968"),
    ("Mon 5", "lun. 5"),
    ("May 5", "Mai 5"),
    ("Dec 24", "déc 24"),
]
PATHS = [
    ("/tmp/pip-build-env-k3j4h5g6/overlay", "/tmp/pip-build-env-a1b2c3d4/overlay"),
    ("-I/home/alice/src/include", "-I/home/bob/src/include"),
    ("/build/source/app.c", "/buildd/python-app-1.0/app.c"),
    ("/var/tmp/x1/app.c", "/root/app.c"),
    ("/srv/ci/one/app.c", "/opt/checkout/app.c"),
    ("file:///tmp/a/src", "file:///tmp/b/src"),
]
RANDOM = [
    ("8f14e45f-ceea-4672-9f1d-3c2b1a0d9e8f", "1b4e28ba-2fa1-41d2-883f-0016d3cca427"),
    ("9f8a3450cdef17e8a90b1c2d3e4f5a6b", "01c3d2e4f5a6b7c8d9e0f1a2b3c4d5e6"),
    ("<Handler object at 0x7f3a4b5c6d70>", "<Handler object at 0x7fe1d2c3b4a0>"),
    ("c3RhdGljLXJhbmRvbS1ieXRlcw9", "ZGlmZmVyZW50LXJhbmRvbS1iSJ3"),
    ("$6$saltsalt$W0rdsAreHashed", "$6$otherone$An0therHashHere"),
]
VARIABLES = [
    ("hostname", "HOSTNAME=maple", "HOSTNAME=oak"),
    ("hostname", "hostname: maple", "hostname: oak"),
    ("hostname", "root@9f8a3450cdef", "root@01c3d2e4f5a6"),
    ("user", "USER=alice", "USER=bob"),
    ("user", '"HOME": "/home/alice"', '"HOME": "/home/bob"'),
    ("time-zone", "TZ=one", "TZ=other"),
    ("locale", "LC_ALL=some", "LC_ALL=other"),
    ("build-path", "PWD=/one", "PWD=/other"),
    ("environment", "TERM=dumb", "TERM=xterm"),
    ("environment", "XDG_SESSION=1", "XDG_SESSION=2"),
    ("user", "cached in /home/alice", "cached in /home/bob"),
]
KNOWN = [
    text("build-path", 'ROOT = "/srv/one/checkout/app"', 'ROOT = "/data/an other/deep er/app"', known=BUILDS),
    text("build-path", '"file:///srv/one/checkout"', '"file:///data/an%20other/deep%20er"', known=BUILDS),
    text("user", "at /srv/one/home!", "at /nonexistent!", "/srv/one/home", "/nonexistent", known=BUILDS),
    text("user", "by alice", "by nobody", "alice", "nobody", known=BUILDS),
    text("hostname", "on maple", "on oak-with-a-long-name", "maple", "oak-with-a-long-name", known=BUILDS),
    text("time-zone", "in UTC", "in Asia/Kathmandu", "UTC", "Asia/Kathmandu", known=BUILDS),
    text("locale", "as C.UTF-8", "as de_DE.UTF-8", "C.UTF-8", "de_DE.UTF-8", known=BUILDS),
    text("environment", "say some noise", "say other noise", "some noise", "other noise", known=BUILDS),
    text("environment", "say some noise", "say ", "some noise", "", known=BUILDS),
    text("timestamp", "(c) 2026 us", "(c) 2027 us", "2026", "2027", known=BUILDS),
    text("timestamp", "day 20636", "day 21036", "20636", "21036", known=BUILDS),
]
SHADOW = "root:*:{0}:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\napp:!:{0}:0:99999:7:::\n"
STATUS = "Package: libc6\nStatus: install ok installed\nVersion: {}\n\nPackage: zlib1g\nVersion: 1:1.2.13\n\n"
LONG = "#!/bin/sh\n'''exec' {}/bin/python \"$0\" \"$@\"\n' '''\nimport app\n"
METADATA = "Metadata-Version: 2.1\nName: app\nVersion: {}\n\nAn app.\n"
PLACES = [
    text("record", "a.py,sha256=one,3\nb.py,,\n", "a.py,sha256=two,3\nb.py,,\n", path="s/a-1.dist-info/RECORD"),
    text("record", "a.py,,\n", "a.py,,\nb.py,,\n", path="s/a-1.dist-info/RECORD"),
    text("set-order", "a.py,,\nb.py,,\n", "b.py,,\na.py,,\n", path="s/a-1.dist-info/RECORD"),
    text("installer", "pip\n", "uv\n", "pip", "uv", path="s/a-1.dist-info/INSTALLER"),
    text("installer", '{"url":"file:///tmp/a"}', '{"url":"file:///tmp/b"}', "/tmp/a", "/tmp/b",
         path="s/a-1.dist-info/direct_url.json"),
    text("python-package", METADATA.format("1.0"), METADATA.format("1.1"), "1.0", "1.1",
         path="s/app.dist-info/METADATA"),
    text("timestamp", METADATA.format("1.0.d20261120"), METADATA.format("1.0.d20261123"),
         "1.0.d20261120", "1.0.d20261123", path="s/app.dist-info/METADATA"),
    text("source", METADATA.format("1.0"), METADATA.format("1.0") + "More.\n", path="s/app.dist-info/METADATA"),
    text("shebang", "#!/srv/a/bin/python\nimport app\n", "#!/opt/bin/python3\nimport app\n",
         "#!/srv/a/bin/python", "#!/opt/bin/python3", path="usr/bin/app"),
    text("shebang", LONG.format("/srv/a"), LONG.format("/opt"), path="usr/bin/app"),
    text("source", "#!/bin/sh\necho a\n", "#!/bin/sh\necho b\n", path="usr/bin/app"),
    text("os-package", STATUS.format("2.36-9"), STATUS.format("2.36-10"), path="var/lib/dpkg/status"),
    text("os-package", "P:musl\nV:1.2.4-r2\n\n", "P:musl\nV:1.2.5-r0\n\n", path="lib/apk/db/installed"),
    text("set-order", "Package: a\n\nPackage: b\n\n", "Package: b\n\nPackage: a\n\n", path="var/lib/dpkg/status"),
    text("account-date", SHADOW.format(20400), SHADOW.format(20800), "20400", "20800", path="etc/shadow"),
    text("random", "app:$6$one$hashhash1:20000:0:99999:7:::\n", "app:$6$two$hashhash2:20000:0:99999:7:::\n",
         path="etc/shadow-"),
    text("source", SHADOW.format(20400), SHADOW.format(20400) + "new:!:20400:0:99999:7:::\n", path="etc/shadow"),
    text("random", "9f8a3450cdef17e8a90b1c2d3e4f5a6b\n", "01c3d2e4f5a6b7c8d9e0f1a2b3c4d5e6\n", path="etc/machine-id"),
    text("random", "ssh-rsa AAAA root@a\n", "ssh-rsa BBBB root@a\n", path="etc/ssh/ssh_host_rsa_key.pub"),
    text("hostname", "9f8a3450cdef\n", "01c3d2e4f5a6\n", path="etc/hostname"),
    text("hostname", "nameserver 10.0.0.1\n", "nameserver 10.9.9.9\n", path="etc/resolv.conf"),
    text("log", "Start-Date: 2026-01-05  10:00:00\n", "Start-Date: 2027-02-09  11:31:07\n",
         path="var/log/apt/history.log"),
    text("log", "at 10:00:00\n", "at 11:31:07\n", "10:00:00", "11:31:07", path="opt/app/build.log"),
    Pair("cache-file", "var/cache/ldconfig/aux-cache", b"glibc-ld.so\0\1", b"glibc-ld.so\0\2"),
    Pair("cache-file", "root/.cache/pip/selfcheck/9f", b"one", b"two"),
    Pair("cache-file", "usr/share/app/state.cache", b"\0one", b"\0two"),
    Pair("derived", "etc/ld.so.cache", b"glibc-ld.so.cache1.1\0\1", b"glibc-ld.so.cache1.1\0\2"),
    Pair("database", "opt/app/state.db", b"SQLite format 3\0\x10\0\1\1", b"SQLite format 3\0\x10\0\1\2"),
    Pair("database", "opt/app/state.gdbm", b"\xce\x9a\x57\x13\0\0\0\1", b"\xce\x9a\x57\x13\0\0\0\2"),
]  # fmt: skip
BYTES = [
    Pair("timestamp", "a.bin", struct.pack("<III", 1, 1_767_607_200, 0), struct.pack("<III", 1, 1_802_172_667, 0)),
    Pair("timestamp", "a.bin", struct.pack(">III", 1, 1_767_607_200, 0), struct.pack(">III", 1, 1_802_172_667, 0)),
    Pair("timestamp", "a.bin", struct.pack("<QQ", 1_767_607_200_123456789, 0),
         struct.pack("<QQ", 1_802_172_667_987654321, 0)),
    Pair("timestamp", "a.bin", struct.pack("<QQ", 1_767_607_200_123, 0), struct.pack("<QQ", 1_802_172_667_987, 0)),
    Pair("timestamp", "a.bin", b"\7" + struct.pack("<I", 1_783_000_050), b"\7" + struct.pack("<I", 1_817_560_050),
         known=BUILDS),
    # 4 bytes that could be a time, but stand nowhere that says so.
    Pair("unknown", "a.bin", b"\7" + struct.pack("<I", 1_783_000_050), b"\7" + struct.pack("<I", 1_817_560_050)),
    # DOS: 2026-01-05 10:00:00 against 2027-02-09 11:31:06
    Pair("timestamp", "a.bin", struct.pack("<HHH", 0, 0x5000, 0x5C25), struct.pack("<HHH", 0, 0x5BE3, 0x5E49)),
    Pair("build-path", "a.bin", b"\0\0/tmp/build1/app.c\0\0", b"\0\0/tmp/b2/app.c\0\0",
         ("/tmp/build1/app.c", "/tmp/b2/app.c")),
    Pair("build-path", "a.bin", b"\0\0/tmp/build1/app.c\0\0", b"\0\0/tmp/build2/app.c\0\0"),
    Pair("set-order", "a.pickle", pickle.dumps(["alpha", "beta", "gamma"]), pickle.dumps(["gamma", "alpha", "beta"])),
    Pair("database", "a.pickle", pickle.dumps(["alpha", "beta"]), pickle.dumps(["alpha", "delta"])),
    Pair("unknown", "a.bin", b"\0\1\2\3", b"\0\1\2\4"),
    Pair("unknown", "a.bin", b"text", b"\0\1\2\4"),
]  # fmt: skip
DOCUMENTS = [
    text("set-order", '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', path="a.json"),
    text("set-order", '{"a": 1}', '{"a":1}\n', path="a.json"),
    text("set-order", '{"l": ["x", "y", "z"]}', '{"l":["z","x","y"]}', path="a.json"),
    text("set-order", '[{"n": "x"}, {"n": "y"}]', '[{"n":"y"}, {"n":"x"}]', path="a.json"),
    text("timestamp", '{"at": "2026-01-05T10:00:00Z"}', '{"at": "2027-02-09T11:31:07Z"}', path="a.json"),
    text("hostname", '{"HOSTNAME": "maple"}', '{"HOSTNAME": "oak"}', path="a.json"),
    text("derived", '{"sha256": "9f8a3450cdef17e8a90b1c2d3e4f5a6b"}', '{"sha256": "01c3d2e4f5a6b7c8d9e0f1a2b3c4d5e6"}',
         path="a.json"),
    text("source", '{"a": "one"}', '{"a": "two"}', path="a.json"),
    text("source", '{"a": "one"}', '{"a": "one", "b": "two"}', path="a.json"),
    text("set-order", "a = 1\nb = 2\n", "b = 2\na = 1\n", path="a.toml"),
    text("build-path", 'a = "/tmp/x/a"\n', 'a = "/tmp/yy/a"\n', "/tmp/x/a", "/tmp/yy/a", path="a.toml"),
    text("source", "# one\na = 1\n", "# two\na = 1\n", path="a.toml"),
    text("line-endings", '{"a":\r\n1}\r\n', '{"a":\n1}\n', path="a.json"),
]  # fmt: skip
TEXTS = [
    # What people change in their sources, however much it looks like the host.
    text("source", "mail = 'team@one.example'\n", "mail = 'team@other.example'\n"),
    text("source", "uses: actions/checkout@v3\n", "uses: actions/checkout@v4\n"),
    text("source", "url = 'https://one.example/a/logo.png'\n", "url = 'https://two.example/b/logo.png'\n"),
    text("source", "from a/x/logo.png\n", "from a/y/logo.png\n"),
    text("source", "python = /usr/bin/python3\n", "python = /usr/local/bin/python3\n"),
    text("source", "ratio = 1.23\n", "ratio = 12.3\n"),
    text("source", "low = -1000\n", "low = -1100\n"),
    text("source", "workers = 2\nhost = '0.0.0.0'\n", "workers = 4\nhost = '127.0.0.1'\n"),
    text("source", "YEARS = 2026\n", "YEARS = 2027\n"),
    text("source", "name = 'first_function_1'\n", "name = 'first_function_2'\n"),
    text("source", "version = '1.2.3'\n", "version = '1.2.4'\n"),
    text("source", "def answer():\n    return 41\n", "def answer():\n    return 42\n"),
    text("source", "", "print('hello')\n"),
    text("source", "flask==3.0.1\n", "flask==3.0.2\n"),
    text("line-endings", "a\r\nb\r\n", "a\nb\n", "CRLF", "LF"),
    text("set-order", "NAMES = {'a', 'b', 'c'}\n", "NAMES = {'c', 'a', 'b'}\n"),
    text("set-order", "one\ntwo\nthree\n", "two\nthree\none\n"),
    text("set-order", "x\nlib: a b c\ny\n", "x\nlib: b c a\ny\n"),
    text("timestamp", "a\nat 10:00:00\nb\nat 10:00:01\n", "a\nat 11:31:07\nb\nat 11:31:09\n"),
    # Most of it is not explained by the time in it.
    text("source", "at 10:00:00\na\nx\nb\ny\n", "at 11:31:07\na2\nx\nb2\ny\n"),
    # A hash follows from something, here from the version.
    text("source", "v 1\nx\nmd5:9f8a3450cdef17e8a90b1c2d3e4f5a6b\n", "v 2\nx\nmd5:01c3d2e4f5a6b7c8d9e0f1a2b3c4d5e6\n"),
]  # fmt: skip
PAIRS = [
    *(text("timestamp", f"x = '{a}'\n", f"x = '{b}'\n") for a, b in DATES),
    *(text("time-zone", f"x = '{a}'\n", f"x = '{b}'\n") for a, b in ZONES),
    *(text("locale", f"x = '{a}'\n", f"x = '{b}'\n") for a, b in LOCALES),
    *(text("build-path", f"x = '{a}'\n", f"x = '{b}'\n") for a, b in PATHS),
    *(text("random", f"x = '{a}'\n", f"x = '{b}'\n") for a, b in RANDOM),
    *(text(cause, f"{a}\n", f"{b}\n") for cause, a, b in VARIABLES),
    *KNOWN, *PLACES, *BYTES, *DOCUMENTS, *TEXTS,
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.cause} {pair.left[:40]!r}")
def test_a_pair_has_its_cause_and_swapped_it_has_its_mirror(pair: Pair) -> None:
    here, there = only(pair), only(pair.swapped)
    assert here.cause == there.cause == pair.cause
    assert (here.left, here.right) == (there.right, there.left)
    assert pair.shown in (None, (here.left, here.right))
    assert here.follows == there.follows
    assert (here.part, here.path, here.aspect) == ("file", pair.path, "content")
    assert here.size == max(len(pair.left), len(pair.right))
    assert here.view is not None
    assert here.view.lines
    assert differences(pair, views=False) == (replace(here, view=None),)


def note(pair: Pair) -> str:
    return only(pair).note


def test_the_note_says_where_the_evidence_stands() -> None:
    left, right = "a\nb\nROOT = '/tmp/a/x'\n", "a\nb\nROOT = '/tmp/b/x'\n"
    assert note(text("", left, right)) == 'line 3: "/tmp/a/x" against "/tmp/b/x"'
    assert note(text("", left, right, path="a.bin")) == note(text("", left, right))
    binary = Pair("", "a.bin", b"\0\0/tmp/a/x\0", b"\0\0/tmp/b/x\0")
    assert note(binary) == 'byte 7: "/tmp/a/x" against "/tmp/b/x"'


def test_the_note_names_further_causes_and_what_is_not_explained() -> None:
    left = "at 10:00:00\nx\nin /tmp/a/x\ny\nat 10:00:01\nz\nsome\n"
    right = "at 11:31:07\nx\nin /tmp/b/x\ny\nat 11:31:08\nz\nthing\n"
    expected = 'line 1: "10:00:00" against "11:31:07"; also build-path (1); 1 of 4 places not explained'
    assert note(text("", left, right)) == expected


def test_what_is_not_explained_is_shown_where_it_begins() -> None:
    found = only(text("source", "a\nreturn 41\n", "a\nreturn 42\n"))
    assert (found.left, found.right, found.note) == (
        "return 41",
        "return 42",
        'line 2: "return 41" against "return 42"',
    )
    long = only(text("source", "a " * 100 + "b" * 100, "a " * 100 + "c" * 100))
    assert (long.left[:22], long.right[:22]) == ("a " * 10 + "bb", "a " * 10 + "cc")
    assert note(Pair("", "a.bin", b"\0\1\2", b"\0\1\3")) == 'byte 2: "02" against "03"'
    assert note(text("", '{"a": [1]}', '{"a": [2]}', path="a.json")) == 'a[0]: "1" against "2"'


def test_a_date_that_differs_in_several_places_is_one_trace() -> None:
    assert note(text("", "2026-01-05 10:00:00", "2027-02-09 11:31:07")).count(";") == 0


def test_record_names_the_files_whose_hashes_differ() -> None:
    lines = [f"{name}.py,sha256={{}},1" for name in "abcde"]
    here, there = ("\n".join(lines).format(*([word] * 5)) for word in ("one", "two"))
    found = only(text("record", here, there + "\nz.py,,", path="s/a.dist-info/RECORD"))
    assert found.note == "other hashes of a.py, b.py, c.py and 2 more; only right z.py"
    assert found.follows
    assert not only(text("record", here, here + "\nz.py,,", path="s/a.dist-info/RECORD")).follows


def test_packages_are_named_with_both_versions() -> None:
    here, there = STATUS.format("2.36-9"), STATUS.format("2.36-10") + "Package: zstd\nVersion: 1.5\n\n"
    found = only(text("os-package", here, there, path="var/lib/dpkg/status"))
    assert found.note == "libc6 2.36-9 -> 2.36-10, zstd absent -> 1.5"


def test_what_left_something_behind_does_not_hide_why_it_differs() -> None:
    found = only(text("log", "at 10:00:00\n", "at 11:31:07\n", path="var/log/dpkg.log"))
    assert found.note == 'line 1: "10:00:00" against "11:31:07"'


def test_what_is_known_of_the_builds_counts_more_than_the_form_of_a_value() -> None:
    known = Known({"home": ("/tmp/one",)}, {"home": ("/tmp/other",)})
    pair = text("user", "x = /tmp/one/x", "x = /tmp/other/x", "/tmp/one", "/tmp/other")
    assert only(pair).cause == "build-path"
    assert only(replace(pair, known=known)).cause == "user"


def test_a_short_name_of_a_host_is_not_found_inside_of_words() -> None:
    known = Known({"host": ("a",)}, {"host": ("b",)})
    assert only(text("", "x = bad", "x = bbd", known=known)).cause == "source"
    assert only(text("", "x = a", "x = b", known=known)).cause == "hostname"


def test_a_unified_diff_is_what_diff_makes_of_the_same_files() -> None:
    left = [f"{number % 7} {number}\n" for number in range(90)]
    right = [line for number, line in enumerate(left) if number % 13] + ["end\n"]
    found = only(text("source", "".join(left), "".join(right)))
    expected = [line.removesuffix("\n") for line in difflib.unified_diff(left, right)][2:]
    assert found.view == View("text", tuple(expected))


def test_views_are_cut_to_what_people_read() -> None:
    left, right = (f"{character}" * 1000 + "\n" for character in "ab")
    found = only(text("source", left * 400, right * 400))
    assert found.view is not None
    assert len(found.view.lines) == 200
    assert {len(line) for line in found.view.lines[1:]} == {301}


def test_documents_are_shown_by_their_fields() -> None:
    found = only(text("source", '{"a": {"b": [1, 2]}, "c": 3}', '{"a": {"b": [1, 4]}, "c": 3}', path="a.json"))
    assert found.view == View("fields", ("a.b[1]\t2\t4",))


def test_of_huge_files_the_bytes_around_the_first_difference_are_compared() -> None:
    start, end = b"line\n" * (4 << 20), b"more\n" * 1000
    pair = Pair("", "a.txt", start + b"in /tmp/a/x\n" + end, start + b"in /tmp/bb/x\n" + end)
    assert only(pair).cause == "build-path"
    assert only(pair).note.startswith(f"byte {len(start) + 8}: ")
    assert only(replace(pair, right=start + b"in /tmp/b/x\n" + end)).cause == "build-path"


@pytest.mark.parametrize(
    ("cause", "blamed", "refined"),
    [
        ("source", ("hashseed",), "set-order"),
        ("unknown", ("cpus",), "parallelism"),
        ("set-order", ("cpus",), "parallelism"),
        ("set-order", ("order",), "file-order"),
        ("set-order", ("hashseed",), "set-order"),
        ("set-order", ("locale",), "locale"),
        ("source", ("filesystem",), "file-order"),
        ("random", ("clock",), "timestamp"),
        ("timestamp", ("zone",), "time-zone"),
        ("timestamp", ("clock",), "timestamp"),
        ("timestamp", ("clock", "zone"), "timestamp"),
        ("timestamp", ("clock", "locale"), "timestamp"),
        ("timestamp", ("clock + zone",), "timestamp"),
        ("time-zone", ("clock", "zone"), "timestamp"),
        ("timestamp", ("chance",), "timestamp"),
        ("elf-code", ("source",), "build-path"),
        ("unknown", ("temp",), "build-path"),
        ("build-path", ("home",), "user"),
        ("build-path", ("source",), "build-path"),
        ("source", ("user",), "user"),
        ("source", ("hostname",), "hostname"),
        ("source", ("noise",), "environment"),
        ("mode", ("umask",), "umask"),
        ("unknown", ("chance",), "random"),
        ("database", ("chance",), "random"),
        ("database", ("clock",), "database"),
        ("source", ("clock + zone",), "timestamp"),
        ("source", ("engine", "clock"), "timestamp"),
        ("hostname", ("clock",), "hostname"),
        ("record", ("clock",), "record"),
        ("source", (), "source"),
    ],
)
def test_what_is_to_blame_makes_a_cause_precise_that_contents_leave_open(
    cause: str, blamed: tuple[str, ...], refined: str
) -> None:
    difference = Difference("file", "a", "content", "1", "2", cause, note="evidence")
    assert refine(difference, blamed) == replace(difference, cause=refined, blamed=blamed)
