"""The parsers of bytes from outside, each with inputs to start from."""

import gzip
import lzma
import marshal
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import zstandard

from buildpacks import conda_files, pdm_install, pipenv_install, poetry_install, procfile, pylock, requirements, yaml
from buildpacks.api import App, PinContext
from imagebuilder import documents, ignore, image, lock, reference, settings, shared_index, simple
from imagebuilder.base.index import PackageIndex, _is_package, _shortened
from imagebuilder.registry import addresses, auth, credentials, failures
from imagebuilder.registry.auth import Authorization
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.sources import address, backend
from layers import bunzip, elf, gunzip, record, tarball, unzstd, xz
from layers.conda import read_conda
from layers.content import Reader
from layers.deb import read_deb
from layers.descriptor import CONFIG, LAYER_TAR, MANIFEST, Descriptor, Platform
from layers.digest import Digest
from layers.entry import Stored
from layers.errors import BuildError, UsageError
from layers.sdist import read_sdist
from layers.wheel import Scheme, read_wheel, wheel_entries
from layers.zip import read_zip
from reproducibility import tars
from reproducibility.content import Content
from reproducibility.difference import Known
from reproducibility.explain import explain
from tests import apps, condas, debs, wheels
from tests.buildpacks import test_conda_files, test_pdm_install, test_pipenv_install, test_poetry_install, test_pylock
from tests.imagebuilder.test_lock import PINS

CORPORA = Path(__file__).parent.parent / "corpora"
LINUX = Platform("linux", "amd64")
HASH = "0" * 64
_LARGEST = 4 << 20  # what is made of a fuzzed input: it bounds the time, the readers bound the memory


@dataclass(frozen=True)
class Target:
    """A parser: `run` is given bytes and an empty folder. `refuses` is what it may raise."""

    name: str
    run: Callable[[bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    refuses: tuple[type[Exception], ...] = (BuildError,)


class NoResolver:
    """What would ask an index."""

    def __getattr__(self, name: str) -> object:
        raise UsageError("there is no index", hint="", code="IB300")


def with_checksums(content: bytes) -> bytes:
    """Make the checksums of tar headers right again, without which nothing of a tar is read."""
    fixed = bytearray(content)
    for at in range(0, len(fixed) - 511, 512):
        if fixed[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(fixed[at : at + 512])
    return bytes(fixed)


def _file(content: bytes, folder: Path, name: str = "input") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _drain(chunks: Iterator[bytes]) -> None:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _LARGEST:
            return


def _tar(content: bytes, _: Path) -> None:
    for layer in (False, True):
        for member in tarball.members(tarball.Forward([with_checksums(content)]), layer=layer):
            assert not member.path.startswith(("/", "../"))


def _comparison(content: bytes, folder: Path) -> None:
    path = _file(with_checksums(content), folder)
    with path.open("rb") as file:
        tars.read(file.fileno(), len(content))


def _zip(content: bytes, folder: Path) -> None:
    path = _file(content, folder)
    with closing(Reader()) as reader:
        for member in read_zip(path):
            _drain(reader.read(member.content()))


def _wheel(content: bytes, folder: Path) -> None:
    """Four files of a wheel's dist-info: their bytes are the input, so no CRC stands before them."""
    about, wheel, rows, scripts = (content.split(b"\x1e") + [b""] * 4)[:4]
    files = {"demo.py": b"", "demo-1.0.dist-info/METADATA": about, "demo-1.0.dist-info/WHEEL": wheel}
    made = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in (*files.items(), ("demo-1.0.dist-info/RECORD", rows)):
            wheels.add(archive, name, text)
        if scripts:
            wheels.add(archive, "demo-1.0.dist-info/entry_points.txt", scripts)
    wheel_entries(read_wheel(made), Scheme("opt/python", "3.13", "/opt/python/bin/python"))


def _deb(content: bytes, folder: Path) -> None:
    read_deb(_file(_aligned(content), folder), spool=folder / "spool")


def _aligned(content: bytes) -> bytes:
    """Make checksums right in a deb, whose tars stand after headers of 60 bytes."""
    fixed, at = bytearray(content), content.find(b"ustar")
    while at >= 0:
        if at >= 257:
            fixed[at - 257 : at + 255] = with_checksums(bytes(fixed[at - 257 : at + 255]))
        at = content.find(b"ustar", at + 1)
    return bytes(fixed)


def _sdist(content: bytes, folder: Path) -> None:
    found = read_sdist(_file(with_checksums(content), folder), spool=folder / "spool")
    found.text("PKG-INFO")


def _index(content: bytes, _: Path) -> None:
    stanzas = [_shortened(stanza) for stanza in content.split(b"\n\n") if _is_package(stanza)]
    index = PackageIndex("trixie", "amd64", "", {"x": [("debian", stanza) for stanza in stanzas]})
    index.newest("x")
    index.providers("mail-transport-agent")


def _in_app(read: Callable[[App], object], *names: str, **files: str) -> Callable[[bytes, Path], object]:
    """The input as the first of these files of an application; the others as they are."""
    others = {name.replace("_", "."): text for name, text in files.items()}

    def run(content: bytes, folder: Path) -> object:
        apps.make(folder, others)
        _file(content, folder, names[0])
        return read(App(folder, {}))

    return run


def _pins(pin: Callable[[PinContext], object]) -> Callable[[App], object]:
    def run(app: App) -> object:
        context = PinContext(app, (), apps.TARGET, tuple, apps.interpreter("3.13.5"), NoResolver())  # type: ignore[arg-type]
        return pin(context)

    return run


class Documents:
    """A store of two documents."""

    def __init__(self, manifest: bytes, config: bytes) -> None:
        self._by_digest = {Digest.of(manifest): manifest}
        self._config = config

    def open(self, described: Descriptor, *, limit: int) -> Iterator[bytes]:
        yield self._by_digest.get(described.digest, self._config)[:limit]


CONFIG_TEXT = (
    b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]},'
    b'"history":[{"created_by":"a"}],"config":{"Env":["A=b"]}}' % HASH.encode()
)
MANIFEST_TEXT = (
    b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"sha256:%s","size":%d},'
    b'"layers":[{"mediaType":"%s","digest":"sha256:%s","size":7,"annotations":{"a":"b"}}]}'
)


def _manifest(config: bytes) -> bytes:
    values = (MANIFEST.encode(), CONFIG.encode(), HASH.encode(), len(config), LAYER_TAR.encode(), HASH.encode())
    return MANIFEST_TEXT % values


def _cache_index() -> bytes:
    name = Digest(f"sha256:{HASH}")
    return shared_index.write([shared_index.Claim(name, Descriptor(LAYER_TAR, name, 1), name)])


def _image(manifest: bytes, config: bytes) -> object:
    described = Descriptor(MANIFEST, Digest.of(manifest), len(manifest))
    return image.read("x", Documents(manifest, config), described)  # type: ignore[arg-type]


def _challenge(content: bytes, folder: Path) -> None:
    settings = RegistrySettings(environment={"DOCKER_CONFIG": str(folder), "PATH": ""})
    asked = Authorization("registry.example", SimpleNamespace(), settings, lambda ask: ask())  # type: ignore[arg-type]
    headers = SimpleNamespace(getlist=lambda _: content.decode("latin-1").split("\n"))
    response = SimpleNamespace(headers=headers)
    asked.learn(response, "https://registry.example/v2/", sent="", scope="repository:a:pull")  # type: ignore[arg-type]


def _login(content: bytes, folder: Path) -> None:
    _file(content, folder, "config.json")
    credentials.find("registry.example", {"DOCKER_CONFIG": str(folder), "PATH": ""})


def _ignored(content: bytes, folder: Path) -> None:
    _file(content, folder, ".imagebuilderignore")
    ignored = ignore.read(folder)
    for path in ("a/b.py", "docs/", ".env", "a/" * 50):
        ignored(path)


def _explained(suffix: str) -> Callable[[bytes, Path], object]:
    """What the reproducibility checker reads of a file that differs from itself in one byte."""

    def run(content: bytes, folder: Path) -> object:
        path = _file(content + content[:-1] + b"\x7f", folder)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            left = Content(descriptor, 0, len(content))
            right = Content(descriptor, len(content), max(len(content), 1))
            return explain(f"a{suffix}", left, right, known=Known())
        finally:
            os.close(descriptor)

    return run


def _text(*texts: str | bytes) -> Callable[[Path], list[bytes]]:
    return lambda _: [text.encode() if isinstance(text, str) else text for text in texts]


def _corpus(*patterns: str) -> list[bytes]:
    return [
        path.read_bytes() for pattern in patterns for path in sorted(CORPORA.glob(pattern)) if path.suffix != ".json"
    ]


def _plain_tars(_: Path) -> list[bytes]:
    return [one for one in _corpus("malo/tar/*/*.tar") if len(one) < 20_000]


def _debs(_: Path) -> list[bytes]:
    files = [debs.file("./usr/bin/x", b"x"), debs.symlink("./usr/bin/y", "x"), debs.hardlink("./z", "./usr/bin/x")]
    return [debs.package("x", *files, compression=form).content for form in ("", ".gz", ".xz", ".zst")]


def _sdists(_: Path) -> list[bytes]:
    members = [debs.folder("x-1"), debs.file("x-1/PKG-INFO", b"Name: x\n"), debs.symlink("x-1/y", "PKG-INFO")]
    plain = debs.tar(members, writes=tarfile.PAX_FORMAT)
    return [plain, gzip.compress(plain), *_corpus("malo/zip/accept/*.zip")]


def _wheel_seeds(_: Path) -> list[bytes]:
    about = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: x>=1; extra == 'y'\n\ntext\n"
    wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    listed = {"demo.py": b"", "demo-1.0.dist-info/METADATA": about, "demo-1.0.dist-info/WHEEL": wheel}
    scripts = b"[console_scripts]\ndemo = demo:main\n"
    rows = "".join(wheels.row(path, text) for path, text in listed.items())
    with_scripts = rows + wheels.row("demo-1.0.dist-info/entry_points.txt", scripts)
    end = "demo-1.0.dist-info/RECORD,,\n"
    return [
        b"\x1e".join([about, wheel, (rows + end).encode()]),
        b"\x1e".join([about, wheel, (with_scripts + end).encode(), scripts]),
    ]


def _condas(_: Path) -> list[bytes]:
    return [condas.other(condas.LIB, form=form).content for form in (".conda", ".tar.bz2")]


def _lock_text(folder: Path) -> list[bytes]:
    lock.write(folder, {"linux/amd64": PINS})
    return [(folder / lock.FILE).read_bytes()]


def _streams(pack: Callable[[bytes], bytes], *corpora: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [pack(b""), pack(b"some text " * 50), *(one for one in _corpus(*corpora) if len(one) < 20_000)]


STANZA = (
    "Package: x\nVersion: 1:2.0-1~b\nArchitecture: all\nSize: 1\nFilename: pool/main/x/x_1_all.deb\n"
    f"SHA256: {HASH}\nDepends: a (>= 1) | b, c:any\nProvides: mail-transport-agent (= 2), y\n"
)
REQUIREMENTS = (
    "flask[async]==3.1 ; python_version > '3' \\\n  --hash=sha256:" + HASH + "\n-r other.txt\n--index-url https://x/\n"
    "-e ./lib\nx @ https://x/x-1-py3-none-any.whl#sha256=" + HASH + "\ny @ git+https://x/y@v1#subdirectory=z\n# end\n"
)
PAGES = (
    '<a href="x-1-py3-none-any.whl#sha256=' + HASH + '" data-requires-python="&gt;=3" data-yanked="no">x</a>',
    '{"files":[{"filename":"x-1.tar.gz","url":"x","hashes":{"sha256":"0"},"size":1,"yanked":false}]}',
)
CHALLENGES = (
    'Bearer realm="https://registry.example/token",service="registry.example",scope="repository:a:pull"',
    'Basic realm="x"',
)
_REFERENCES = ("x", "registry.example:5000/a/b:tag@sha256:" + HASH, "localhost/a", "a/b/c:1.0")


TARGETS = (
    Target("tar", _tar, _plain_tars),
    Target("tar-comparison", _comparison, _plain_tars),
    Target("zip", _zip, lambda _: _corpus("malo/zip/*/*.zip", "warehouse/*/*")),
    Target(
        "zstd", lambda content, _: _drain(unzstd.plain([content])), _streams(zstandard.compress, "malo/zstd/*/*.zst")
    ),
    Target("gzip", lambda content, _: _drain(gunzip.plain([content])), _streams(gzip.compress)),
    Target("xz", lambda content, _: _drain(xz.plain([content])), _streams(lzma.compress)),
    Target(
        "bzip2",
        lambda content, _: _drain(bunzip.plain([content])),
        lambda _: [condas.other(condas.LIB, form=".tar.bz2").content],
    ),
    Target("deb", _deb, _debs),
    Target("sdist", _sdist, _sdists),
    Target("conda", lambda content, folder: read_conda(_file(content, folder)), _condas),
    Target("wheel-metadata", _wheel, _wheel_seeds),
    Target(
        "record",
        lambda content, _: record.parse(content.decode("utf-8", "replace")),
        _text(wheels.row("a.py", b"") + "b,,\n"),
        (BuildError, ValueError),
    ),
    Target("packages-index", _index, _text(STANZA + "\n" + STANZA)),
    Target(
        "index-page",
        lambda content, _: simple.parse(content, "https://x/simple/"),
        _text(*PAGES),
        (BuildError, ValueError),
    ),
    Target(
        "requirements",
        _in_app(
            lambda app: (
                requirements.read(app, ("requirements.txt",)),
                requirements.published(app, ("requirements.txt",)),
            ),
            "requirements.txt",
            other_txt="x\n",
        ),
        _text(REQUIREMENTS),
    ),
    Target(
        "pylock",
        _in_app(_pins(pylock.pin), "pylock.toml"),
        _text(
            test_pylock.LOCK + test_pylock.PACKAGES,
            test_pylock.LOCK + test_pylock.package("x", "sys_platform === 'win32'"),
        ),
    ),
    Target(
        "poetry-lock",
        _in_app(_pins(poetry_install.pin), "poetry.lock", pyproject_toml=test_poetry_install.PROJECT),
        _text(test_poetry_install.lock(*test_poetry_install.PACKAGES)),
    ),
    Target(
        "pdm-lock",
        _in_app(_pins(pdm_install.pin), "pdm.lock", pyproject_toml=test_pdm_install.PROJECT),
        _text(
            test_pdm_install.lock(*test_pdm_install.PACKAGES),
            test_pdm_install.lock(test_pdm_install.package("x", "marker = \"sys_platform === 'a'\"")),
        ),
    ),
    Target(
        "pipfile-lock",
        _in_app(_pins(pipenv_install.pin), "Pipfile.lock", Pipfile=test_pipenv_install.PIPFILE),
        _text(test_pipenv_install.lock()),
    ),
    Target(
        "conda-lock", _in_app(lambda app: conda_files.read(app, LINUX), "conda-lock.yml"), _text(test_conda_files.LOCK)
    ),
    Target(
        "environment-yml",
        _in_app(lambda app: (conda_files.read(app, LINUX), conda_files.names(app)), "environment.yml"),
        _text(
            "name: x\nchannels: [a, 'b']\ndependencies:\n- flask >=3\n- pip:\n  - gunicorn[x]==23\nvariables:\n  A: b\n"
        ),
    ),
    Target(
        "yaml",
        lambda content, _: yaml.parse(content.decode("utf-8", "replace")),
        _text("a: [1, b]\nd:\n- e\n- f: 'g'\n"),
        (BuildError, ValueError),
    ),
    Target("lock", lambda content, folder: (_file(content, folder, lock.FILE), lock.read(folder)), _lock_text),
    Target(
        "procfile",
        _in_app(procfile._command_lines, "Procfile"),
        _text("web: gunicorn app:app -b :$PORT\nworker: python -m w\n"),
    ),
    Target("cache-index", lambda content, _: shared_index.read(content), _text(_cache_index())),
    Target("manifest", lambda content, _: _image(content, CONFIG_TEXT), _text(_manifest(CONFIG_TEXT))),
    Target("config", lambda content, _: _image(_manifest(content), content), _text(CONFIG_TEXT)),
    Target(
        "reference",
        lambda content, _: (
            reference.parse(content.decode("utf-8", "replace")),
            reference.parse_source(content.decode("utf-8", "replace")),
        ),
        _text(*_REFERENCES),
    ),
    Target("www-authenticate", _challenge, _text(*CHALLENGES)),
    Target("token", lambda content, _: auth._read_token(content, "x"), _text('{"token":"a","expires_in":300}')),
    Target(
        "redirect",
        lambda content, _: addresses.next_address("https://registry.example/v2/", content.decode("latin-1")),
        _text("https://registry.example:443/v2/x/blobs/uploads/1?a=b", "../x", "//[::1]:80/x"),
    ),
    Target(
        "registry-errors",
        lambda content, _: failures._words(content),
        _text('{"errors":[{"code":"DENIED","message":"no","detail":null}]}'),
    ),
    Target(
        "image-index",
        lambda content, _: documents.parse_list(content, "x"),
        _text('[{"Config":"x.json","RepoTags":["x:1"],"Layers":["a.tar"]}]'),
    ),
    Target("docker-config", _login, _text('{"auths":{"registry.example":{"auth":"YTpi","identitytoken":""}}}')),
    Target(
        "settings",
        lambda content, folder: (_file(content, folder, "pyproject.toml"), settings.read_project(folder)),
        _text(
            '[project]\nname="x"\n[tool.imagebuilder]\nbase="debian:trixie"\npackages=["a"]\n[tool.imagebuilder.env]\nA="b"\n'
        ),
    ),
    Target("ignore-file", _ignored, _text("*.py[co]\n!keep/**\n/a?b/\n# x\n[!a-c]/**/x\n")),
    Target(
        "build-system",
        lambda content, _: backend.read(content.decode("utf-8", "replace"), "x"),
        _text('[build-system]\nrequires=["a>=1"]\nbuild-backend="a.b:c"\nbackend-path=["."]\n'),
    ),
    Target(
        "git-address",
        lambda content, _: address.parse(content.decode("utf-8", "replace")),
        _text("git+https://x.example/y.git@v1#subdirectory=z", "git+ssh://git@x/y", "git@x:y/z.git"),
    ),
    Target(
        "elf",
        lambda content, folder: elf.shared_object(Stored(_file(content, folder), 0, len(content))),
        lambda _: [debs.shared_object("", needed=("libpq.so.5", "libc.so.6"))],
    ),
    Target(
        "compared-pyc",
        _explained(".pyc"),
        lambda _: [
            b"\x6f\r\r\n" + bytes(12) + marshal.dumps(compile("def f(a):\n    return {a: 1.5}\n", "f.py", "exec"))
        ],
    ),
    Target("compared-zip", _explained(".zip"), lambda _: _corpus("malo/zip/accept/*.zip")),
)
BY_NAME = {target.name: target for target in TARGETS}
