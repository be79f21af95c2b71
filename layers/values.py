"""Dataclasses that are cheap to define: `dataclass`, `field` and `replace`, as in the standard library's `dataclasses`.

That compiles six functions for each class when it is defined; half the time of a short command went into it. Here all
classes share their functions, and only `__init__` is compiled, for a class that has many instances. Type checkers see
the standard library's, whose functions take these classes too. Only what the program uses is there: frozen and slots;
default, default_factory and repr of fields; `__post_init__`. Fields are not inherited
(docs/decisions/0198-values-that-are-cheap-to-define.md).
"""

from operator import attrgetter
from types import FunctionType, MethodType

TYPE_CHECKING = False  # as checkers know it; to import `typing` takes longer than to define fifty of these classes
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import dataclass as dataclass  # noqa: TID251
    from dataclasses import field as field  # noqa: TID251
    from dataclasses import replace as replace  # noqa: TID251
    from typing import Protocol

    class Value(Protocol):
        """An instance. What `__values__` gets is compared, what `__shown__` names is in its repr."""

        __match_args__: tuple[str, ...]
        __shown__: list[str]
        __values__: Callable[[object], object]


# So many instances are made without a function of their class: to compile one takes as long.
_FEW = 100
_store = object.__setattr__


class _Default:
    """No default, or the one in a signature that stands for a new value."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


_NONE = _Default("<none>")
_NEW = _Default("<factory>")


class _Field:
    """What a field is besides its annotation."""

    __slots__ = ("default", "default_factory", "repr")

    def __init__(
        self,
        *,
        default: object = _NONE,
        default_factory: "Callable[[], object] | None" = None,
        repr: bool = True,  # noqa: A002
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = repr


_PLAIN = _Field()


class _Init:
    """The `__init__` of a class: stores fields in a loop, until a function of the class is worth what it costs."""

    def __init__(self, fields: "Mapping[str, _Field]") -> None:
        self.cls: type = object
        self.fields = fields
        self.few = _FEW

    def __get__(self, instance: object, owner: type) -> object:
        if instance is None or self.few <= 0:
            return self.compiled().__get__(instance, owner)
        self.few -= 1
        return MethodType(self, instance)

    def __call__(self, instance: object, /, *args: object, **given: object) -> None:
        """Initialise an instance."""
        positional = dict(zip(self.fields, args, strict=False))
        values = positional | given
        too_many = len(values) < len(args) + len(given)
        for name, field in self.fields.items():
            if name not in values:
                if field.default_factory:
                    values[name] = field.default_factory()
                elif field.default is not _NONE:
                    values[name] = field.default
        if too_many or values.keys() != self.fields.keys():
            self.compiled()(instance, *args, **given)  # says what is wrong
        for name in self.fields:
            _store(instance, name, values[name])
        if post := getattr(instance, "__post_init__", None):
            post()

    def compiled(self) -> FunctionType:
        """Compile the function and put it in the place of this."""
        scope: dict[str, object] = {"_store": _store, "_NEW": _NEW}
        parameters, body = ["self"], []
        for name, field in self.fields.items():
            value = parameter = name
            if field.default_factory:
                scope[f"_new_{name}"] = field.default_factory
                parameter = f"{name}=_NEW"
                value = f"_new_{name}() if {name} is _NEW else {name}"
            elif field.default is not _NONE:
                scope[f"_default_{name}"] = field.default
                parameter = f"{name}=_default_{name}"
            parameters.append(parameter)
            if "__slots__" in vars(self.cls):
                scope[f"_store_{name}"] = vars(self.cls)[name].__set__  # quicker than by its name
                body.append(f"_store_{name}(self, {value})")
            else:
                body.append(f"_store(self, {name!r}, {value})")
        if hasattr(self.cls, "__post_init__"):
            body.append("self.__post_init__()")
        source = "\n ".join([f"def __init__({', '.join(parameters)}):", *body, "return None"])
        exec(source, scope)  # noqa: S102 made of the names of fields
        made = scope["__init__"]
        assert isinstance(made, FunctionType)
        made.__qualname__ = f"{self.cls.__qualname__}.__init__"
        made.__annotations__ = {**self.cls.__annotations__, "return": None}
        setattr(self.cls, "__init__", made)  # noqa: B010 checkers do not know that this is the class's own
        return made


class _Standard:
    """What functions of the standard library look for in a dataclass, made when they do."""

    def __init__(self, name: str, fields: "Mapping[str, _Field]", *, frozen: bool) -> None:
        self.name = name
        self.fields = fields
        self.frozen = frozen

    def __get__(self, _instance: object, owner: type) -> object:
        import dataclasses  # noqa: TID251 takes long, and nothing in the program needs it

        fields = []
        for name, field in self.fields.items():
            standard: dataclasses.Field[object] = dataclasses.field(repr=field.repr)
            if field.default is not _NONE:
                standard.default = field.default
            if field.default_factory:
                standard.default_factory = field.default_factory
            fields.append((name, owner.__annotations__[name], standard))
        found: object = getattr(dataclasses.make_dataclass(owner.__name__, fields, frozen=self.frozen), self.name)
        setattr(owner, self.name, found)
        return found


def _dataclass(cls: type | None = None, /, **options: bool) -> object:
    return _make(cls, **options) if cls else lambda cls: _make(cls, **options)


def _make(cls: type, *, frozen: bool = False, slots: bool = False) -> type:
    fields = {name: _field(vars(cls), name) for name in cls.__annotations__}
    init = _Init(fields)
    members: dict[str, object] = {
        **(_FROZEN if frozen else _SHARED),
        "__init__": init,
        "__match_args__": tuple(fields),
        "__values__": attrgetter(*fields or ["__class__"]),
        "__shown__": [name for name, field in fields.items() if field.repr],
        "__dataclass_fields__": _Standard("__dataclass_fields__", fields, frozen=frozen),
        "__dataclass_params__": _Standard("__dataclass_params__", fields, frozen=frozen),
    }
    init.cls = _with_slots(cls, members) if slots else _without(cls, members)
    return init.cls


def _field(members: "Mapping[str, object]", name: str) -> _Field:
    if name not in members:
        return _PLAIN
    member = members[name]
    return member if isinstance(member, _Field) else _Field(default=member)


def _with_slots(cls: type, members: "Mapping[str, object]") -> type:
    """Make the class anew: it cannot be given slots afterwards."""
    names = tuple(cls.__annotations__)
    left_out = {*names, "__dict__", "__weakref__"}
    own = {name: member for name, member in vars(cls).items() if name not in left_out}
    slots = {"__slots__": names, "__setstate__": _restore, "__qualname__": cls.__qualname__}
    return type(cls.__name__, cls.__bases__, {**members, **own, **slots})


def _without(cls: type, members: "Mapping[str, object]") -> type:
    for name, member in members.items():
        if name not in vars(cls):
            setattr(cls, name, member)
    for name in cls.__annotations__:
        if isinstance(vars(cls).get(name), _Field):
            delattr(cls, name)
    return cls


def _repr(self: "Value") -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name in self.__shown__]
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _eq(self: "Value", other: "Value") -> bool:
    if self is other:
        return True
    return self.__values__(self) == self.__values__(other) if self.__class__ is other.__class__ else NotImplemented


def _hash(self: "Value") -> int:
    return hash(self.__values__(self))


def _set(_self: "Value", name: str, _value: object) -> None:
    from dataclasses import FrozenInstanceError  # noqa: TID251 takes long, and nothing in the program needs it

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_self: "Value", name: str) -> None:
    from dataclasses import FrozenInstanceError  # noqa: TID251 takes long, and nothing in the program needs it

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _restore(self: "Value", state: tuple[object, dict[str, object]]) -> None:
    """Take what `object.__getstate__` gave, in copies and pickles."""
    for name, value in state[1].items():
        _store(self, name, value)


def _replace(value: "Value", /, **changes: object) -> "Value":
    return value.__class__(
        **{name: getattr(value, name) for name in value.__match_args__ if name not in changes}, **changes
    )


_SHARED: dict[str, object] = {"__repr__": _repr, "__eq__": _eq, "__hash__": None}
_FROZEN: dict[str, object] = {**_SHARED, "__hash__": _hash, "__setattr__": _set, "__delattr__": _delete}
if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
