"""Dataclasses that are cheap to define behave as those of the standard library do."""

import copy
import dataclasses
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import pytest

from layers.values import dataclass, field, replace

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(
    path
    for folder in ("layers", "buildpacks", "reproducibility", "imagebuilder")
    for path in (ROOT / folder).rglob("*.py")
    if "from layers.values import" in path.read_text()
)
MANY = 300


@dataclass(frozen=True, slots=True)
class Slotted:
    """Frozen, with slots."""

    name: str
    size: int = 3
    secret: str = field(default="?", repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    checked: bool = True

    def __post_init__(self) -> None:
        if not self.checked:
            raise ValueError(self.name)


@dataclass(frozen=True)
class Cached:
    """Frozen, with room for what is worked out once."""

    name: str
    size: int = 3

    @cached_property
    def doubled(self) -> int:
        return self.size * 2


@dataclass(slots=True)
class Changing:
    """Not frozen."""

    name: str
    found: set[str] = field(default_factory=set)


@dataclass
class Plain:
    """Nothing asked for, and a text of its own."""

    name: str = field(default="none", repr=False)
    late: "Plain | None" = None

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class Empty:
    """No fields."""


def twins(path: Path) -> Iterator[tuple[type, type]]:
    """Yield the classes of a module, each with what the standard library makes of the same text."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    text = path.read_text().replace("from layers.values import", "from dataclasses import")
    again: dict[str, object] = {"__name__": name, "__file__": str(path)}
    module = importlib.import_module(name)
    exec(compile(text, path, "exec"), again)
    for each, cls in vars(module).items():
        if isinstance(cls, type) and cls.__module__ == name and "__dataclass_fields__" in vars(cls):
            standard = again[each]
            assert isinstance(standard, type)
            yield cls, standard


def attempt(act: Callable[[], object]) -> object:
    """Return what comes of it, or what is wrong."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 whatever it is, the other must say the same
        return type(error), str(error)


def behaviour(cls: type) -> list[str]:
    """Try all that can be done with a class of values."""
    given = {name: f"<{name}>" for name in cls.__match_args__}
    made = attempt(lambda: cls(**given))
    found = [
        [attempt(lambda: repr(cls(**given))) for _ in range(2)],
        attempt(lambda: repr(cls(*given.values()))),
        attempt(lambda: repr(cls())),
        attempt(lambda: repr(cls(*given.values(), "more"))),
        attempt(lambda: repr(cls(*given.values(), **given))),
        attempt(lambda: repr(cls(**given, unknown=1))),
        str(inspect.signature(cls)),
        cls.__match_args__,
        vars(cls).get("__slots__"),
        [(each.name, each.type, each.repr) for each in dataclasses.fields(cls)],
    ]
    if isinstance(made, cls):
        found += [
            made == cls(**given),
            [made == attempt(lambda: cls(**{**given, name: "other"})) for name in given],  # noqa: B023
            made != object(),
            attempt(lambda: hash(made) == hash(cls(**given))),
            repr(copy.copy(made)),
            repr(dataclasses.replace(made, **given)),
            repr(dataclasses.asdict(made)),
            [attempt(lambda: setattr(made, name, "new")) for name in given],  # noqa: B023
            repr(made),
            [attempt(lambda: delattr(made, name)) for name in given],  # noqa: B023
        ]
    return [re.sub(" at 0x[0-9a-f]+", "", repr(each)) for each in found]


@pytest.mark.parametrize("path", [*MODULES, Path(__file__)], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_class_behaves_as_one_of_the_standard_library(path: Path) -> None:
    for cls, standard in twins(path):
        assert behaviour(cls) == behaviour(standard)


def test_there_are_classes_to_compare() -> None:
    assert {cls for cls, _ in twins(Path(__file__))} == {Slotted, Cached, Changing, Plain, Empty}
    assert len(MODULES) > 100


def test_the_first_instances_and_those_after_many_are_the_same() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        labels: dict[str, str] = field(default_factory=dict)
        y: int = 2

    made = [Point(1) for _ in range(MANY)]
    assert set(map(repr, made)) == {
        "test_the_first_instances_and_those_after_many_are_the_same.<locals>.Point(x=1, labels={}, y=2)"
    }
    assert made[0] == made[-1]
    assert made[0].labels is not made[1].labels
    assert made[-2].labels is not made[-1].labels


@pytest.mark.parametrize("before", [0, MANY])
def test_what_a_class_refuses_it_always_refuses(before: int) -> None:
    @dataclass(frozen=True)
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(self.number)

    for _ in range(before):
        Even(2)
    with pytest.raises(ValueError, match="3"):
        Even(3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        Even()
    with pytest.raises(TypeError, match="unexpected keyword argument 'odd'"):
        Even(number=2, odd=False)
    with pytest.raises(TypeError, match="multiple values for argument 'number'"):
        Even(2, number=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Even(2).number = 4


def test_a_copy_with_changes_is_checked_again() -> None:
    assert replace(Slotted("a"), size=4) == Slotted("a", 4)
    with pytest.raises(ValueError, match="a"):
        replace(Slotted("a"), checked=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        replace(Slotted("a"), colour="red")


def test_values_can_be_pickled() -> None:
    for value in (Slotted("a", labels={"b": "c"}), Cached("a"), Changing("a", {"b"}), Plain("a")):
        assert pickle.loads(pickle.dumps(value)) == value


def test_what_is_worked_out_once_is_kept() -> None:
    value = Cached("a")
    assert value.doubled == 6
    assert vars(value)["doubled"] == 6


def test_the_standard_library_may_inherit_from_a_class() -> None:
    @dataclasses.dataclass(frozen=True)
    class Named(Slotted):
        title: str = ""

    assert Named("a", title="b").title == "b"
    assert dataclasses.is_dataclass(Slotted)


def test_a_pattern_takes_a_value_apart() -> None:
    match Slotted("a", 5):
        case Slotted(name, size):
            assert (name, size) == ("a", 5)


def test_nothing_dear_is_imported() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import layers.values; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert not {"dataclasses", "inspect", "typing", "re", "enum"} & set(ran.stdout.split())


def test_a_class_is_defined_without_compiling_anything() -> None:
    compiled: list[str] = []
    sys.addaudithook(lambda event, _: compiled.append(event) if event == "compile" else None)
    dataclass(frozen=True, slots=True)(type("Late", (), {"__annotations__": {"name": str}}))("a")
    assert compiled == []
