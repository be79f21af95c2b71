"""layers.layer: a layer is stored whole with both its digests, or nothing is."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from layers import canonical, descriptor, tar
from layers.blobs import BlobStore, write_file
from layers.compress import Compression
from layers.content import stamp
from layers.digest import Digest
from layers.entry import Deflated, Entry, Kind, SourceFile, directory, file, symlink
from layers.errors import IntegrityError, StorageError
from layers.layer import Layer, write_layer
from layers.wheel import Scheme, read_wheel, wheel_entries
from tests import wheels

LONG = "/".join(["x" * 120, "y" * 250, "z"])
ENTRIES = (
    file("a/é", b"content", executable=True),
    file("a/raw\udcff", b"content"),
    file(LONG, b"long"),
    symlink("a/link", "é"),
    Entry("b", Kind.HARDLINK, 0o755, target="a/é"),
    directory("empty"),
)

DIFF_ID = "2b41c7ab60d28aa9b18cf38376c110e25e8cb336bf20a54bf60637daa20e02b2"


def names(store: BlobStore) -> list[str]:
    return sorted(path.name for path in (store.root / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize(
    ("compression", "golden"),
    [
        ("gzip", "d2b982f4e97da458be934f9629221eecd8c2bc7249a72ded07e1477e3cc1d910"),
        ("zstd", "11b836848e5e7280330fa5db38ea40a0e55cb43ede48f396608d95493e897bad"),
        ("none", DIFF_ID),
    ],
)
def test_a_layer_has_the_digests_of_output_format_1(tmp_path: Path, compression: Compression, golden: str) -> None:
    store = BlobStore(tmp_path)
    layer = write_layer(store, ENTRIES, created_by="test", compression=compression)
    assert layer.created_by == "test"
    assert layer.descriptor.digest.hex == golden
    assert layer.descriptor.size == store.verify(layer.descriptor.digest).stat().st_size
    assert layer.diff_id.hex == DIFF_ID
    assert names(store) == [golden]


def test_a_layer_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    answers = iter([False, True])
    with pytest.raises(CancelledError):
        write_layer(store, [file("a", bytes(4 << 20))], created_by="test", cancelled=lambda: next(answers))
    assert names(store) == []


def test_the_diff_id_is_that_of_the_tar(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    layer = write_layer(store, ENTRIES, created_by="test")
    content = gzip.decompress(store.read(layer.descriptor.digest))
    assert content == b"".join(tar.chunks(tar.ordered(ENTRIES)))
    assert layer.diff_id == Digest.of(content)


def test_a_wheel_gives_one_layer_whatever_the_order_of_its_archive(tmp_path: Path) -> None:
    files = {f"demo/{number}.py": os.urandom(10) * (number * 1000) for number in range(20)}
    layers = set()
    for order in (1, -1):
        folder = tmp_path / str(order)
        folder.mkdir()
        wheel = wheels.build(folder, files=dict(list(files.items())[::order]))
        entries = wheel_entries(read_wheel(wheel), Scheme())
        layers.add(write_layer(BlobStore(tmp_path / "store"), entries, created_by="x").descriptor.digest)
    assert len(layers) == 1


def test_a_source_file_that_changes_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    listed = SourceFile(source.parent, source.name, 7, stamp(source.stat()))
    source.write_bytes(b"changed")
    os.utime(source, ns=(1, 1))
    store = BlobStore(tmp_path / "store")
    with pytest.raises(StorageError) as caught:
        write_layer(store, [file("a", b"x" * (5 << 20)), file("b", listed)], created_by="x")
    assert caught.value.code == "IB602"
    assert names(store) == []


def test_a_file_that_should_be_empty_is_looked_at_too(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"hidden")
    store = BlobStore(tmp_path / "store")
    with pytest.raises(IntegrityError, match="a file in source is damaged"):
        write_layer(store, [file("a", Deflated(source, 0, 6, 0, 0))], created_by="x")
    with pytest.raises(StorageError, match="changed"):
        write_layer(store, [file("a", SourceFile(source.parent, source.name, 0, (0, 0, 0, 0)))], created_by="x")
    assert names(store) == []


def test_entries_that_contradict_each_other_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        write_layer(BlobStore(tmp_path / "store"), [file("a", b""), file("a/b", b"")], created_by="x")
    assert caught.value.code == "IB514"
    assert not (tmp_path / "store").exists()


def test_memory_does_not_depend_on_the_size_of_a_file(tmp_path: Path) -> None:
    """A sparse file of 400 MB, in a process of its own so that the peak is that of this layer."""
    program = """
        import resource, sys
        from pathlib import Path
        from layers.blobs import BlobStore
        from layers.content import stamp
        from layers.entry import SourceFile, file
        from layers.layer import write_layer
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path = Path(sys.argv[1])
        content = SourceFile(path.parent, path.name, path.stat().st_size, stamp(path.stat()))
        write_layer(BlobStore(path.parent / "store"), [file("large", content)], created_by="x")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 400 << 20)
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", textwrap.dedent(program), tmp_path / "large"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 40 << 10


def layout(folder: Path, layer: Layer) -> None:
    """Make the store an OCI layout of one image with one layer."""
    store = BlobStore(folder)
    config = store.write_json(
        descriptor.CONFIG,
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id.value]},
        },
    )
    manifest = store.write_json(
        descriptor.MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": descriptor.MANIFEST,
            "config": config.to_json(),
            "layers": [layer.descriptor.to_json()],
        },
    )
    named = {**manifest.to_json(), "annotations": {"org.opencontainers.image.ref.name": "test"}}
    write_file(folder / "index.json", canonical.encode({"schemaVersion": 2, "manifests": [named]}))


@pytest.mark.tools
@pytest.mark.root
@pytest.mark.parametrize("compression", ["gzip", "none"])  # this umoci cannot read zstd
def test_umoci_unpacks_every_name_and_many_members(tmp_path: Path, compression: Compression) -> None:
    store = tmp_path / "store"
    store.mkdir()
    large = wheels.build(tmp_path, files={f"{number}.bin": os.urandom(200_000) for number in range(5)})
    entries = (*ENTRIES, *wheel_entries(read_wheel(large), Scheme()))
    layout(store, write_layer(BlobStore(store), entries, created_by="x", compression=compression))
    subprocess.run(["umoci", "unpack", "--image", f"{store}:test", tmp_path / "out"], check=True, capture_output=True)
    root = tmp_path / "out" / "rootfs"
    for entry in tar.ordered(entries):
        path = root / entry.path
        if entry.kind is Kind.SYMLINK:
            assert str(path.readlink()) == entry.target
        elif entry.kind is Kind.HARDLINK:
            assert path.samefile(root / entry.target)
        else:
            assert path.stat().st_mode & 0o7777 == entry.mode
            assert path.stat().st_mtime == tar.MTIME
            assert path.is_dir() or path.stat().st_size == entry.size


@pytest.mark.tools
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_skopeo_copies_and_inspects_every_compression(tmp_path: Path, compression: Compression) -> None:
    layer = write_layer(BlobStore(tmp_path), ENTRIES, created_by="x", compression=compression)
    layout(tmp_path, layer)
    copied = ["skopeo", "copy", "--dest-decompress", f"oci:{tmp_path}:test", f"dir:{tmp_path}/out"]
    subprocess.run(copied, check=True, capture_output=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["layers"][0]["digest"] in (layer.diff_id.value, layer.descriptor.digest.value)
    if compression == "gzip":
        assert manifest["layers"][0]["digest"] == layer.diff_id.value
