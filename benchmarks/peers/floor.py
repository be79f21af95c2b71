"""The least that builders could do: the same bytes read, inflated, hashed, compressed and sent, with nothing checked.

    python benchmarks/peers/floor.py FOLDER REGISTRY/NAME:TAG INDEX CACHE

A yardstick, not a builder. It believes wheels, the registry and its own cache, retries nothing, and its images need not
run: no interpreter is looked for, no scripts are made. As ours do, its layers keep the compressed streams of larger
members of wheels, and the rest is compressed with the same library; each wheel has a layer of its own. CACHE/state.json
names the wheel of each hash. What a build without changes does not need is imported where it is needed.
"""

# ruff: noqa: PTH123  to import pathlib takes time

import hashlib
import json
import os
import re
import struct
import sys
import zlib
from http.client import HTTPConnection
from itertools import chain

KEPT, CHUNK, AHEAD = 64 << 10, 1 << 20, 8
GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
MANIFEST, CONFIG = (f"application/vnd.oci.image.{kind}.v1+json" for kind in ("manifest", "config"))
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def main(folder: str, reference: str, index: str, cache: str) -> None:
    address, _, name = reference.partition("/")
    repository, tag = f"/v2/{name.rpartition(':')[0]}", name.rpartition(":")[2]
    registry = HTTPConnection(address)
    with open(f"{folder}/requirements.txt") as file, open(f"{cache}/state.json") as states:
        wheels, state = re.findall("sha256:([0-9a-f]{64})", file.read()), json.load(states)
    files = sorted(listed(folder))
    key = hashlib.sha256(repr((wheels, files)).encode()).hexdigest()
    if state.get("key") == key:
        head, _ = ask(registry, "HEAD", f"{repository}/manifests/{tag}", Accept=MANIFEST)
        if head["Docker-Content-Digest"] == state["manifest"]:
            return
    if "base" not in state:
        state["base"] = json.loads(ask(registry, "GET", "/v2/base/manifests/1", Accept=MANIFEST)[1])
        state["config"] = json.loads(ask(registry, "GET", f"/v2/base/blobs/{state['base']['config']['digest']}")[1])
        for layer in state["base"]["layers"]:
            ask(registry, "POST", f"{repository}/blobs/uploads/?mount={layer['digest']}&from=base")
    missing = [wheel for wheel in wheels if wheel not in state["layers"]]

    def wheel_layer(wheel: str) -> dict:
        content = ask(HTTPConnection(index), "GET", f"/files/{state['names'][wheel]}")[1]
        return push_layer(HTTPConnection(address), repository, f"{cache}/{wheel}", pieces_of_wheel(content), map)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        state["layers"].update(zip(missing, pool.map(wheel_layer, missing), strict=True))
        app = push_layer(registry, repository, f"{cache}/app", pieces_of_files(folder, files), pool.map)
    layers = [*(state["layers"][wheel] for wheel in wheels), app]
    state["manifest"] = push_image(registry, repository, tag, state, layers)
    with open(f"{cache}/state.json", "w") as file:
        json.dump({**state, "key": key}, file)


def listed(folder: str):
    with os.scandir(folder) as found:
        for each in found:
            if each.is_dir():
                yield from listed(each.path)
            else:
                status = each.stat()
                yield each.path, status.st_size, status.st_mtime_ns


# Pieces are pairs: bytes of the tar, and those of the blob if they are known.
def pieces_of_files(folder: str, files):
    for path, size, _ in files:
        with open(path, "rb") as file:
            yield header(f"workspace{path.removeprefix(folder)}", size) + file.read() + bytes(-size % 512), ()


def pieces_of_wheel(wheel: bytes):
    count, _, at = struct.unpack_from("<HLL", wheel, wheel.rfind(b"PK\5\6") + 10)
    for _ in range(count):
        method, crc, packed, size, *lengths, place = struct.unpack_from("<H4x3L3H8xL", wheel, at + 10)
        name = wheel[at + 46 : at + 46 + lengths[0]].decode()
        at += 46 + sum(lengths)
        begin = place + 30 + sum(struct.unpack_from("<2H", wheel, place + 26))
        raw = wheel[begin : begin + packed]
        yield header(f"layers/site-packages/lib/python3/site-packages/{name}", size), ()
        known = (GZIP, raw, struct.pack("<LL", crc, size)) if method and size >= KEPT else ()
        yield zlib.decompress(raw, -15, size or 1) if method else raw, known
        yield bytes(-size % 512), ()


def header(path: str, size: int) -> bytes:
    name, prefix = path.encode(), b""
    if len(name) > 100:
        cut = name.index(b"/", len(name) - 101)
        prefix, name = name[:cut], name[cut + 1 :]
    numbers = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    rest = b"0" + bytes(100) + b"ustar\00000" + bytes(80) + prefix.ljust(155, b"\0") + bytes(12)
    summed = sum(name) + sum(numbers) + sum(rest) + 8 * ord(" ")
    return name.ljust(100, b"\0") + numbers + b"%06o\0 " % summed + rest


def compressed(pieces, tar, mapped):
    """Yield the bytes of a blob; `tar` hashes what they are made of, `mapped` compresses several chunks at a time."""
    import deflate

    pending = bytearray()

    def chunks(end: int):
        cut = [bytes(pending[at : min(at + CHUNK, end)]) for at in range(0, end, CHUNK)]
        del pending[:end]
        return mapped(lambda chunk: deflate.gzip_compress(chunk, 6), cut)

    for plain, known in chain(pieces, [(bytes(1024), ())]):
        tar.update(plain)
        if known:
            yield from chunks(len(pending))
            yield from known
        else:
            pending += plain
        while len(pending) >= AHEAD * CHUNK:
            yield from chunks(AHEAD * CHUNK)
    yield from chunks(len(pending))


def push_layer(registry: HTTPConnection, repository: str, path: str, pieces, mapped) -> dict:
    tar, blob = hashlib.sha256(), hashlib.sha256()
    with open(path, "w+b") as file:
        for part in compressed(pieces, tar, mapped):
            blob.update(part)
            file.write(part)
        digest, size = f"sha256:{blob.hexdigest()}", file.tell()
        file.seek(0)
        push_blob(registry, repository, digest, file, size)
    return {"mediaType": LAYER, "digest": digest, "size": size, "diff_id": f"sha256:{tar.hexdigest()}"}


def push_image(registry: HTTPConnection, repository: str, tag: str, state: dict, layers: list[dict]) -> str:
    ids = [*state["config"]["rootfs"]["diff_ids"], *(layer["diff_id"] for layer in layers)]
    config = json.dumps({**state["config"], "rootfs": {"type": "layers", "diff_ids": ids}, "history": []}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    push_blob(registry, repository, digest, config, len(config))
    described = [{name: layer[name] for name in ("mediaType", "digest", "size")} for layer in layers]
    named = {"mediaType": CONFIG, "digest": digest, "size": len(config)}
    manifest = {"schemaVersion": 2, "config": named, "layers": [*state["base"]["layers"], *described]}
    body = json.dumps({**manifest, "mediaType": MANIFEST}).encode()
    head, _ = ask(registry, "PUT", f"{repository}/manifests/{tag}", body, **{"Content-Type": MANIFEST})
    return head["Docker-Content-Digest"]


def push_blob(registry: HTTPConnection, repository: str, digest: str, body, size: int) -> None:
    place = ask(registry, "POST", f"{repository}/blobs/uploads/")[0]["Location"]
    target = place[place.index("/v2/") :] + f"&digest={digest}"
    ask(registry, "PUT", target, body, **{"Content-Length": str(size), "Content-Type": "application/octet-stream"})


def ask(server: HTTPConnection, method: str, target: str, body=None, **headers: str):
    server.blocksize = CHUNK
    server.request(method, target, body, headers)
    answer = server.getresponse()
    content = answer.read()
    assert answer.status < 300, f"{method} {target}: {answer.status} {content!r}"
    return answer.headers, content


if __name__ == "__main__":
    main(*sys.argv[1:])
