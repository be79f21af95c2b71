"""Tables: parsed TOML whose every value is checked when it is asked for."""

from collections.abc import Iterable, Mapping

from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A TOML table whose values are asked for by type: what is missing or of another type is a KeyError."""

    values: Mapping[str, object]

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise KeyError(key)
        return value

    def number(self, key: str) -> int:
        """Return a whole number."""
        value = self.values[key]
        if not isinstance(value, int):
            raise KeyError(key)
        return value

    def flag(self, key: str) -> bool:
        """Return a switch; a missing one is off."""
        return self.values.get(key) is True

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a missing list is empty."""
        return tuple(str(value) for value in self._list(key))

    def table(self, key: str) -> "Table":
        """Return a table; a missing one is empty."""
        return table(self.values.get(key, {}))

    def tables(self, key: str) -> Iterable["Table"]:
        """Return a list of tables; a missing list is empty."""
        return (table(value) for value in self._list(key))

    def mapping(self, key: str) -> Mapping[str, str]:
        """Return a table of texts; a missing one is empty."""
        return {name: str(value) for name, value in self.table(key).values.items()}

    def _list(self, key: str) -> list[object]:
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise KeyError(key)
        return value


def table(value: object) -> Table:
    """Take a parsed value for a table; TypeError if it is none."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table")
    return Table(value)
