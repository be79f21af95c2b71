"""Encounters: our client meets a registry that may be hostile, and what must hold whatever happens is checked.

It ends within ten seconds; it ends as expected; nothing secret reaches another server, an error or a note; the server
could not make it read more than a cap; and what was pulled or pushed is right to the last bit.
"""

import base64
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from imagebuilder import reference
from imagebuilder.registry.client import Repository, open_repository
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import BuildError
from tests import certificates, hostile, registry
from tests.registry import Fault, Registry

NAME = "team/app"
PASSWORD = "canary-of-ann"
SECRETS = (PASSWORD, base64.b64encode(f"ann:{PASSWORD}".encode()).decode(), "secret-token")
LAYERS = (random.Random(1).randbytes(3 << 20), b"a small layer")
LONGEST_S = 10


@dataclass(frozen=True)
class Place:
    """The registry our client talks to, and servers at other origins.

    `thief` is at another address, `neighbour` at another port; both ask for credentials and take everything. `mirror`,
    at the thief's address, holds the image and gives it to anybody.
    """

    registry: Registry
    thief: Registry
    neighbour: Registry
    mirror: Registry
    digest: str
    settings: RegistrySettings
    notes: list[str]

    @property
    def manifest(self) -> bytes:
        """The manifest that a client should see."""
        return self.mirror.repository(NAME).manifests[self.digest][1]

    @property
    def blobs(self) -> dict[str, bytes]:
        """The blobs that a client should see."""
        return self.mirror.repository(NAME).blobs

    def open(self, *, push: bool = False) -> Repository:
        """Open the repository as a user who is logged in."""
        name = reference.parse(f"{self.registry.address}/{NAME}")
        return open_repository(name, settings=self.settings, push=push)


Act = Callable[[Place], None]


@dataclass(frozen=True)
class Encounter:
    """What the registry does, what the client wants, and how it ends: with an error of this type, or well (None).

    `secure`: the registry and the thief speak TLS. `trusted`: the client knows their authority.
    """

    name: str
    faults: Callable[[Place], list[Fault]]
    act: Act
    error: type[BuildError] | tuple[type[BuildError], ...] | None = None
    rules: Mapping[str, object] = field(default_factory=dict)
    most_sent: int = 16 << 20
    most_requests: int = 40
    secure: bool = False
    trusted: bool = True


@dataclass(frozen=True)
class End:
    """How an encounter ended."""

    place: Place
    error: BuildError | None
    seconds: float


def pull_manifest(place: Place) -> None:
    """Fetch the manifest of the tag."""
    with place.open() as repository:
        described, content = repository.manifest("latest")
    assert content == place.manifest
    assert described == Descriptor(registry.MANIFEST, Digest(place.digest), len(content))


def pull_manifest_by_digest(place: Place) -> None:
    """Fetch the manifest by its digest."""
    with place.open() as repository:
        _described, content = repository.manifest(Digest(place.digest))
    assert content == place.manifest


def ask(place: Place) -> None:
    """Ask what the tag stands for."""
    with place.open() as repository:
        described = repository.head("latest")
    assert described == Descriptor(registry.MANIFEST, Digest(place.digest), len(place.manifest))


def pull_layer(place: Place) -> None:
    """Fetch the large layer."""
    with place.open() as repository:
        assert b"".join(repository.blob(described(LAYERS[0]))) == LAYERS[0]


def pull(place: Place) -> None:
    """Fetch the manifest of the tag and every blob it names."""
    with place.open() as repository:
        _described, content = repository.manifest("latest")
        assert content == place.manifest
        document = json.loads(content)
        for named in [document["config"], *document["layers"]]:
            blob = Descriptor(named["mediaType"], Digest(named["digest"]), named["size"])
            assert b"".join(repository.blob(blob)) == place.blobs[named["digest"]]


def push(place: Place) -> None:
    """Push the image under a new tag to a registry that has nothing of it."""
    clear(place)
    with place.open(push=True) as repository:
        for content in place.blobs.values():
            repository.push_blob(described(content), lambda content=content: _pieces(content))
        repository.push_manifest(_manifest(place), place.manifest, "new")
    check_pushed(place)


def push_layer(place: Place) -> None:
    """Push the large layer alone."""
    clear(place)
    with place.open(push=True) as repository:
        done = repository.push_blob(described(LAYERS[0]), lambda: _pieces(LAYERS[0]))
    assert done == "uploaded"
    assert place.registry.repository(NAME).blobs == {registry.digest_of(LAYERS[0]): LAYERS[0]}


def push_by_mount(place: Place) -> None:
    """Push the large layer, which another repository of the registry has."""
    clear(place)
    place.registry.put_blob("team/base", LAYERS[0])
    with place.open(push=True) as repository:
        repository.push_blob(described(LAYERS[0]), lambda: _pieces(LAYERS[0]), mount_from="team/base")
    assert place.registry.repository(NAME).blobs == {registry.digest_of(LAYERS[0]): LAYERS[0]}


def push_manifest(place: Place) -> None:
    """Push the manifest under a new tag; its blobs are there."""
    with place.open(push=True) as repository:
        repository.push_manifest(_manifest(place), place.manifest, "new")
    check_pushed(place)


def overwrite(place: Place) -> None:
    """Push another manifest under the tag that exists."""
    other = place.manifest + b"\n"
    named = Descriptor(registry.MANIFEST, Digest(registry.digest_of(other)), len(other))
    with place.open(push=True) as repository:
        repository.push_manifest(named, other, "latest")


def clear(place: Place) -> None:
    """Empty the repository in the registry."""
    place.registry.repositories[NAME] = registry.Repository()


def check_pushed(place: Place) -> None:
    """See that the registry holds the image under the new tag."""
    repository = place.registry.repository(NAME)
    assert repository.tags["new"] == place.digest
    assert repository.manifests[place.digest] == (registry.MANIFEST, place.manifest)
    assert repository.blobs == place.blobs


def described(content: bytes) -> Descriptor:
    """Describe a blob."""
    return Descriptor("application/vnd.oci.image.layer.v1.tar", Digest(registry.digest_of(content)), len(content))


def meet(encounter: Encounter, folder: Path) -> End:
    """Let it happen, and check what must hold of every encounter."""
    with ExitStack() as stack:
        place = _place(stack, encounter, folder)
        place.registry.faults += encounter.faults(place)
        end = _run(encounter.act, place)
        _check(encounter, end)
    return end


def _place(stack: ExitStack, encounter: Encounter, folder: Path) -> Place:
    rules = {"users": {"ann": PASSWORD}, "scheme": "bearer"} | dict(encounter.rules)
    made = certificates.make(folder) if encounter.secure else None
    certificate = made.server if made else None
    strange = stack.enter_context(Registry(**rules, certificate=certificate).running())
    mirror = stack.enter_context(Registry(host="127.0.0.2").running())
    strange.put_image(NAME, *LAYERS)
    digest = mirror.put_image(NAME, *LAYERS)
    log_in(folder, strange.address)
    notes: list[str] = []
    settings = RegistrySettings(
        environment={"DOCKER_CONFIG": str(folder), "HOME": str(folder)},
        ca_file=str(made.authority) if made and encounter.trusted else "",
        note=notes.append,
        connect_timeout_s=1,
        timeout_s=0.5,
        backoff_s=0.02,
    )
    thief = stack.enter_context(hostile.thief(certificate=certificate))
    neighbour = stack.enter_context(hostile.thief("127.0.0.1"))
    return Place(strange, thief, neighbour, mirror, digest, settings, notes)


def log_in(folder: Path, *registries: str) -> None:
    """Write a docker configuration with credentials of Ann for these registries."""
    known = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    document = {"auths": {address: {"auth": known} for address in registries}}
    (folder / "config.json").write_text(json.dumps(document))


def _run(act: Act, place: Place) -> End:
    """Act in a thread of its own, so that what hangs fails the test instead of stopping it."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            act(place)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 it is raised below, in the thread of the test
            ended.append(error)

    thread, started = threading.Thread(target=run, daemon=True), time.monotonic()
    thread.start()
    thread.join(LONGEST_S)
    seconds = time.monotonic() - started
    assert ended, f"it hangs; asked: {[str(one) for one in place.registry.traffic.requests][-5:]}"
    if ended[0] and not isinstance(ended[0], BuildError):
        raise ended[0]
    return End(place, ended[0], seconds)


def _check(encounter: Encounter, end: End) -> None:
    place, error = end.place, end.error
    told = list(place.notes)
    if error:
        told += [error.message, error.hint, *error.details]
        assert error.code.startswith("IB")
        assert error.hint
    for secret in SECRETS:
        for other in (place.thief, place.neighbour, place.mirror):
            assert other.traffic.saw(secret) == [], "a secret left its origin"
        assert secret not in " ".join(told)
    assert all(len(text) < 1000 for text in told), told
    assert place.registry.traffic.sent <= encounter.most_sent
    assert len(place.registry.traffic.requests) <= encounter.most_requests
    if encounter.error is None:
        if error:
            raise error
    else:
        assert isinstance(error, encounter.error), f"{error!r} after {end.seconds:.1f} s"


def _manifest(place: Place) -> Descriptor:
    return Descriptor(registry.MANIFEST, Digest(place.digest), len(place.manifest))


def _pieces(content: bytes) -> list[bytes]:
    return [content[start : start + (1 << 18)] for start in range(0, len(content), 1 << 18)]
