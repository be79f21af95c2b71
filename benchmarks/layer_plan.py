"""Simulate what changes of locks send: `python benchmarks/layer_plan.py [CHANGES]`, the layer plan beside others.

wheel_sizes.txt has the size of a real wheel of each of 881 projects, and which of three applications have it. A change
adds a project, removes one, or brings another version (its size differs by at most a tenth). A layer is as large as its
wheels. `pushed` is what no image before had, `pulled` what the last one had not; `beyond` is what is pulled beside the
changed package itself. The seed is fixed.
"""

import itertools
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from buildpacks.environment import MOST_LAYERS
from buildpacks.grouping import SHARED_BYTES, groups

Lock = Mapping[str, tuple[int, int]]  # version and size of each project
SEED = 190


def main() -> None:
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rules: dict[str, Callable[[Mapping[str, int]], Iterator[tuple[str, ...]]]] = {
        "one layer": lambda sizes: iter([tuple(sizes)]),
        "a layer for each": lambda sizes: ((name,) for name in sizes),
        "large ones alone": large_alone,
        "ours": lambda sizes: (group.members for group in groups(sizes, most=MOST_LAYERS)),
    }
    print(
        "| packages | rule | layers | pushed | pulled | beyond, mean | 95 % | most |\n|---|---|---|---|---|---|---|---|"
    )
    for application in ("medium", "large", "300"):
        locks = list(stream(application, changes))
        for name, rule in rules.items():
            print(f"| {application} | {name} | {row(locks, rule)} |")


def stream(application: str, changes: int) -> Iterator[tuple[Lock, int]]:
    """Yield the lock at first and after each change, and the size of what was added or brought anew."""
    chance = random.Random(SEED)
    sizes, chosen = read(application)
    lock = {name: (0, sizes[name]) for name in chosen}
    yield dict(lock), 0
    for number in range(1, changes + 1):
        kind = chance.choices(["bump", "add", "remove"], [6, 2, 2])[0]
        name = chance.choice(sorted(sizes.keys() - lock.keys() if kind == "add" else lock))
        if kind == "remove":
            del lock[name]
        else:
            lock[name] = (number, int(sizes[name] * chance.uniform(0.9, 1.1)))
        yield dict(lock), lock[name][1] if name in lock else 0


def read(application: str) -> tuple[dict[str, int], list[str]]:
    """Read the sizes of all wheels, and the names of those that an application has."""
    rows = [line.split() for line in (Path(__file__).parent / "wheel_sizes.txt").read_text().splitlines()]
    return {row[0]: int(row[1]) for row in rows}, [row[0] for row in rows if application in row[2:]]


def large_alone(sizes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Give each large wheel a layer, and all others one."""
    large = {name for name, size in sizes.items() if size >= SHARED_BYTES}
    yield from ((name,) for name in large)
    yield tuple(sizes.keys() - large)


def row(locks: list[tuple[Lock, int]], rule: Callable[[Mapping[str, int]], Iterator[tuple[str, ...]]]) -> str:
    """Sum up what a rule has a stream of locks send, in MB."""
    images = [
        {frozenset((name, lock[name][0]) for name in layer): sum(lock[name][1] for name in layer) for layer in split}
        for lock, _ in locks
        for split in [list(rule({name: size for name, (_, size) in lock.items()}))]
    ]
    pushed, pulled = [], []
    ever = set(images[0])
    for before, image in itertools.pairwise(images):
        pulled.append(sum(size for layer, size in image.items() if layer not in before))
        pushed.append(sum(size for layer, size in image.items() if layer not in ever))
        ever |= set(image)
    beyond = sorted(sent - own for sent, (_, own) in zip(pulled, locks[1:], strict=True))
    shown = [statistics.mean(pushed), statistics.mean(pulled), statistics.mean(beyond)]
    shown += [beyond[len(beyond) * 95 // 100], beyond[-1]]
    return " | ".join([str(max(map(len, images))), *(f"{size / 1e6:.2f}" for size in shown)])


if __name__ == "__main__":
    main()
