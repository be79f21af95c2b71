"""Scripts: the programs that an installer makes of a wheel's entry points and of its own scripts."""

from layers.expression import expression
from layers.values import dataclass

_SECTIONS = ("console_scripts", "gui_scripts")
# As importlib.metadata reads an entry point; a script needs the attribute.
_REFERENCE = expression(r"(?P<module>\w+(\.\w+)*)\s*:\s*(?P<attribute>\w+(\.\w+)*)\s*(\[[^\]]*\])?")
_UNSAFE_NAME = expression(r"[\x00-\x1f\x7f-\x9f/\\]|^\.{0,2}$")
# What setuptools appends to the names of the scripts it made itself of entry points.
_WRAPPER_SUFFIXES = (".exe", "-script.py", ".pya")


@dataclass(frozen=True, slots=True)
class Script:
    """A program that calls a function: `name = module:attribute`."""

    name: str
    module: str
    attribute: str

    def encode(self, python: str) -> bytes:
        """Return the program for an interpreter. Every script of every wheel has this form."""
        first = self.attribute.partition(".")[0]
        return (
            f"#!{python}\n"
            "import sys\n"
            f"from {self.module} import {first}\n"
            'if __name__ == "__main__":\n'
            f"    sys.exit({self.attribute}())\n"
        ).encode()


def parse(text: str) -> tuple[Script, ...]:
    """Return the scripts that entry_points.txt asks for. Raises ValueError, with the line, if one is unsafe."""
    scripts: dict[str, Script] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section in _SECTIONS and line and line[0] not in "#;":
            script = _parse_line(line)
            if scripts.setdefault(script.name, script) != script:
                raise ValueError(f"entry_points.txt has two scripts named {script.name!r}")
    return tuple(scripts.values())


def is_wrapper(name: str, scripts: tuple[Script, ...]) -> bool:
    """Say whether a script of the wheel is only what setuptools made of an entry point; installers make it anew."""
    names = {script.name for script in scripts}
    return name in names or any(name.removesuffix(suffix) in names for suffix in _WRAPPER_SUFFIXES)


def set_interpreter(content: bytes, python: str) -> bytes:
    """Replace a first line that starts with `#!python` (binary distribution format, Recommended installer features)."""
    first, newline, rest = content.partition(b"\n")
    return b"#!" + python.encode() + b"\n" + rest if first.startswith(b"#!python") else first + newline + rest


def _parse_line(line: str) -> Script:
    name, _, reference = (part.strip() for part in line.partition("="))
    match = _REFERENCE.fullmatch(reference)
    if match is None or _UNSAFE_NAME.search(name):
        raise ValueError(f"entry_points.txt has an unusable script: {line[:200]!r}")
    module, attribute = match["module"], match["attribute"]
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise ValueError(f"entry_points.txt has an unusable script: {line[:200]!r}")
    return Script(name, module, attribute)
