"""The last answer of a command, given again if nothing has changed that it came from, and nothing that it wrote.

Asked before the rest of the program is imported, so nothing is imported here that costs more than it. An answer holds
for the same words, folder, environment and user, as long as the system says the same of every file that the build
looked at, or wrote, or is made of: kind, inode, size and both times, as git's index has it. A push asks the registry
besides, once for each tag. `imagebuilder.remember` writes the records, and knows what must not be remembered
(docs/decisions/0180-the-last-answer.md). Where nothing has changed but files of the application that were only packed,
`imagebuilder.repack` packs them anew.
"""

import hashlib  # noqa: TID251 `layers.digest` needs more time than all of this
import json
import os
import sys
import time  # noqa: TID251 when a command was given is compared with the times of files, and is no part of an image

TYPE_CHECKING = False  # as checkers know it; to import `typing` takes 8 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, TypedDict

    from layers.canonical import Json

    Files = Mapping[str, Sequence[str]]

    class Pushed(TypedDict):
        """Names of the image in registries, what they stood for, and how registries were asked.

        `plain` are the hosts and paths of these names if all registries may be asked by plain http, without a proxy.
        """

        names: Sequence[str]
        plain: Sequence[tuple[str, str]]
        digest: str
        insecure: Sequence[str]
        token_hosts: Sequence[str]

    class Packed(TypedDict):
        """How the application was packed: `left_out` are paths that the rules leave out; and into which image."""

        left_out: Sequence[str]
        compression: Literal["gzip", "zstd", "none"]
        origins: Mapping[str, str]
        outcome: Mapping[str, Json]

    class Record(TypedDict):
        """An answer and what it rests on: files, as names by folder, and the hashes of what is said of them.

        `read` decides how the image is made, `listed` is what is in the application, `written` what came of it.
        `outputs` are types, targets and names. `packed` is None if not only one layer is made of what is listed.
        """

        surroundings: str
        source: Sequence[str]
        read: Files
        listed: Files
        written: Files
        states: Sequence[str]
        outputs: Sequence[tuple[Literal["oci", "archive"], str, str]]
        used: Sequence[str]
        pushed: Pushed | None
        json: bool
        told: Sequence[str] | None
        answer: str
        packed: Packed | None


FOLDER = "answers"
_FORMAT = "2"
# Variables that a shell sets anew for each command.
_IRRELEVANT = ("_", "OLDPWD", "SHLVL")


class Question:
    """A command as it was given. `cache` is where its answer would be, if no file says otherwise; else empty."""

    def __init__(self, words: "Sequence[str]", environment: "Mapping[str, str]") -> None:
        self.asked_ns = time.time_ns()
        self.clock_ns = time.monotonic_ns()
        self.words = tuple(words)
        self.environment = environment
        self.folder = os.getcwd()  # noqa: PTH109 pathlib is one of the things that are not imported here
        self.cache = _cache(self.words, environment, self.folder)

    @property
    def path(self) -> str:
        """The file in which the answer is."""
        return f"{self.cache}/{FOLDER}/{_hash([*self.words, self.folder, str(os.getuid())])}"

    @property
    def surroundings(self) -> str:
        """A hash of the environment and the interpreter, and of what records look like."""
        environment = [f"{name}={self.environment[name]}" for name in sorted(self.environment)]
        kept = [each for each in environment if not each.startswith(tuple(f"{name}=" for name in _IRRELEVANT))]
        return _hash([_FORMAT, sys.version, sys.executable, *kept])


def ask(words: "Sequence[str]") -> Question | None:
    """Take up a command; None if it is none whose answers are remembered."""
    if "build" not in words:
        return None
    try:
        return Question(words, dict(os.environ))  # noqa: TID251 imagebuilder.config is not imported yet
    except OSError:  # there is no current folder
        return None


def answer(question: Question) -> int | None:
    """Answer as the last time, if that may still hold, and return the exit code."""
    record = _read(question)
    if record is None or not decides(record, question):
        return None
    if not holds(record):
        return _repacked(record, question)
    if record["pushed"] and not _is_named(record["pushed"], question.environment):
        return None
    keep(record["used"], question)
    tell(record["told"], record["answer"])
    return 0


def find(question: Question) -> "Record | None":
    """Return the last answer if nothing has changed on this machine that it rests on."""
    record = _read(question)
    return record if record and decides(record, question) and holds(record) else None


def decides(record: "Record", question: Question) -> bool:
    """Say whether all that decides how the image is made is as it was: what is packed may be another."""
    place, real = record["source"]
    return (
        record["surroundings"] == question.surroundings
        and os.path.realpath(place) == real
        and state(record["read"]) == record["states"][0]
    )


def holds(record: "Record") -> bool:
    """Say whether what is packed and what was written are as they were."""
    return [state(record["listed"]), state(record["written"])] == [*record["states"][1:]]


def state(files: "Files", changed: "list[int] | None" = None) -> str:
    """Hash what the system says of files, by folder and name; of what is not there, that it is not.

    `changed` is given the time of the last change of each that is there.
    """
    hasher = hashlib.sha256()
    for folder in sorted(files):
        for name in files[folder]:
            try:
                found = os.lstat(f"{folder}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                hasher.update(b"none\n")
                continue
            said = (found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            hasher.update(b"%d %d %d %d %d %d\n" % said)
            if changed is not None:
                changed.append(found.st_ctime_ns)
    return hasher.hexdigest()


def write(record: "Record", question: Question) -> None:
    """Write a record down, if that is possible: a build that cannot be remembered is a build all the same."""
    from contextlib import suppress
    from pathlib import Path

    from layers.blobs import write_file
    from layers.errors import StorageError

    content = json.dumps(record).encode()  # noqa: TID251 read by this module alone, and never compared
    with suppress(StorageError, OSError):
        Path(question.path).parent.mkdir(mode=0o700, exist_ok=True)
        write_file(Path(question.path), _seal(question.path, content) + content, durable=False)


def _seal(path: str, content: bytes) -> bytes:
    """Return what stands before the content of a record: damage, and a record in another's place, show."""
    return hashlib.sha256(os.fsencode(os.path.basename(path)) + content).hexdigest().encode() + b"\n"  # noqa: PTH119


def _read(question: Question) -> "Record | None":
    try:
        with open(question.path, "rb") as file:  # noqa: PTH123 see above
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            mark, content = file.readline(), file.read()
    except (OSError, ValueError):
        return None
    if not question.cache or mark != _seal(question.path, content):
        return None
    record: Record = json.loads(content)
    return record


def _cache(words: "Sequence[str]", environment: "Mapping[str, str]", folder: str) -> str:
    """Guess where the cache is. `remember` compares it with what the configuration says."""
    found = environment.get("IMAGEBUILDER_CACHE_DIR", "")
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == "--cache-dir":
            found = following
        elif word.startswith("--cache-dir="):
            found = word.partition("=")[2]
    if found:
        return os.path.join(folder, found)  # noqa: PTH118 see above
    if environment.get("XDG_CACHE_HOME", "").startswith("/"):
        return f"{environment['XDG_CACHE_HOME']}/imagebuilder"
    return f"{environment['HOME']}/.cache/imagebuilder" if environment.get("HOME") else ""


def _hash(texts: "Sequence[str]") -> str:
    encoded = json.dumps(texts).encode()  # noqa: TID251 of one list of texts, which is written in one way
    return hashlib.sha256(encoded).hexdigest()


def _is_named(pushed: "Pushed", environment: "Mapping[str, str]") -> bool:
    """Ask registries whether the names still stand for the image; whatever goes wrong is found again by the build."""
    if pushed["plain"] and all(_says(host, path) == pushed["digest"] for host, path in pushed["plain"]):
        return True
    from contextlib import ExitStack

    from imagebuilder import reference
    from imagebuilder.registry.client import Repository, open_repository
    from imagebuilder.registry.settings import RegistrySettings
    from layers.errors import BuildError

    settings = RegistrySettings(
        environment, frozenset(pushed["insecure"]), token_hosts=frozenset(pushed["token_hosts"])
    )
    try:
        with ExitStack() as stack:
            opened: dict[str, Repository] = {}  # one login for all tags of a repository
            for name in map(reference.parse, pushed["names"]):
                if name.name not in opened:
                    opened[name.name] = stack.enter_context(open_repository(name, settings=settings, push=True))
                found = opened[name.name].head(name.tag)
                if found is None or found.digest.value != pushed["digest"]:
                    return False
    except (BuildError, OSError):
        return False
    return True


def _says(host: str, path: str) -> str:
    """Return the digest that a registry gives to anybody for a tag; empty if that needs our client."""
    from imagebuilder import plain

    try:
        with plain.Registry(host) as registry:
            return registry.tag(path)
    except (OSError, ValueError):
        return ""


def _repacked(record: "Record", question: Question) -> int | None:
    if record["packed"] is None:
        return None
    from imagebuilder import repack

    return repack.answer(record, record["packed"], question)


def keep(blobs: "Sequence[str]", question: Question) -> None:
    """See that blobs of the cache are among the last to be pruned."""
    for blob in blobs:
        try:
            os.utime(f"{question.cache}/blobs/sha256/{blob}")
        except OSError:
            continue


def tell(told: "Sequence[str] | None", answer: str) -> None:
    """Write what people are told, if they want to be, and the answer, which has to be written."""
    if told is not None:
        sys.stderr.writelines(f"{line}\n" for line in told)
        sys.stderr.flush()
    try:
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from pathlib import Path

        from layers.blobs import storage_error

        raise storage_error(error, Path("stdout")) from error
