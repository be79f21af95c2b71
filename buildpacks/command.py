"""Command lines: one line as a user writes it becomes the exec form that an image starts.

An image has no shell unless it needs one. A line of plain words is split here; a line with variables, operators or
patterns goes to `/bin/sh`, in such a way that the program replaces the shell: it gets the signals and, as in the exec
form, the arguments that are added when the container is started.
"""

import re
import shlex
from contextlib import suppress
from posixpath import basename, normpath

from buildpacks import local
from buildpacks.api import App, Setting
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass

# Shell Command Language (POSIX.1-2017), 2.2 Quoting and 2.3 Token Recognition: what means something unquoted.
_TOKEN = expression(
    r"""\\.|'[^']*'"""
    r"""|(?P<quoted>"(?:\\.|[^"\\])*")"""
    r"""|(?P<operator>&&|\|\||>>|[<>]&|[|&;<>()])"""
    r"""|(?P<expansion>[$`*?\[~#])"""
    r"""|[^\\'"|&;<>()$`*?\[~#]+""",
    re.DOTALL,
)
_ASSIGNMENTS = expression(r"""\A(?:[A-Za-z_]\w*=(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s\\'"])*\s+)*""")
_SEPARATORS = ("&&", ";")
_REDIRECTIONS = ("<", ">", ">>", "<&", ">&")
_KEYWORDS = {"!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "then", "until", "while"}
_BUILTINS = {
    ".",
    ":",
    "cd",
    "eval",
    "exit",
    "export",
    "read",
    "set",
    "shift",
    "trap",
    "ulimit",
    "umask",
    "unset",
    "wait",
}

# Debian packages of the programs that run scripts.
_SHELLS = {"sh": "dash", "dash": "dash", "bash": "bash", "env": "coreutils"}

# These end at once on SIGINT. As the first process of a container a program that does not
# handle SIGTERM never sees it (pid_namespaces(7)); uWSGI takes it as an order to reload.
_INTERRUPTED = frozenset({"flask", "uwsgi", "waitress-serve"})
_LISTENING = frozenset({"celery", "daphne", "fastapi", "gunicorn", "hypercorn", "streamlit", "uvicorn"})
_PYTHON = expression(r"python(?:3(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class Command:
    """A command in exec form, and the words of the program that runs in the end; none if a shell stays in charge."""

    words: tuple[str, ...]
    program: tuple[str, ...]


def parse(line: Setting) -> Command:
    """Turn a command line into exec form; UsageError IB307 if it is empty or a quote is not closed."""
    text = line.value.strip()
    operators, expands = _scan(text, line)
    cut = max((end for operator, end in operators if operator in _SEPARATORS), default=0)
    head, rest = text[:cut], text[cut:].lstrip()
    last = _ASSIGNMENTS.sub("", rest)
    assignments = rest[: len(rest) - len(last)]
    last = last.removeprefix("exec ").lstrip()
    if not operators and not expands and not assignments:
        words = tuple(shlex.split(last))
        return Command(words, words)
    if not _replaces_shell(text, operators, last):
        return Command(("/bin/sh", "-c", text, "sh"), ())
    before = f"{head} {assignments}".lstrip()
    return Command(("/bin/sh", "-c", f'{before}exec {last} "$@"', "sh"), tuple(last.split()))


def os_packages(app: App, command: Command) -> tuple[str, ...]:
    """Name the Debian packages of the shells a command needs: its own, and that of a script it starts."""
    words = [*command.words[:1], *command.program[:1]]
    for word in tuple(words):
        path = normpath(word)
        if not path.startswith(("/", "..")) and app.has(path):
            with suppress(UsageError):  # a program that is no text has no first line to look at
                first, _, _ = app.text(path).partition("\n")
                words += first[2:].split() if first.startswith("#!") else []
    return tuple(sorted({_SHELLS[name] for name in map(basename, words) if name in _SHELLS}))


def stop_signal(app: App, command: Command) -> str:
    """Name the signal that ends a program in good order: SIGTERM where it is listened to, SIGINT for plain Python.

    Plain Python are the commands of the application's own project, too.
    """
    program = basename(command.program[0]) if command.program else ""
    if program in _INTERRUPTED:
        return "SIGINT"
    if called := local.commands(app).get(program):
        module = called.partition(":")[0].strip().replace(".", "/")
        paths = [f"{folder}{module}{end}" for folder in ("", "src/") for end in (".py", "/__init__.py")]
        return "SIGTERM" if any("SIGTERM" in app.text(path) for path in paths if app.has(path)) else "SIGINT"
    if not _PYTHON.fullmatch(program):
        return "SIGTERM"
    if "-m" in command.program[:-1]:
        module = command.program[command.program.index("-m") + 1]
        return "SIGTERM" if module in _LISTENING else "SIGINT"
    scripts = (normpath(word) for word in command.program[1:] if word.endswith(".py"))
    script = next((path for path in scripts if app.has(path)), None)
    return "SIGTERM" if script is None or "SIGTERM" in app.text(script) else "SIGINT"


def _scan(text: str, line: Setting) -> tuple[list[tuple[str, int]], bool]:
    """Return the operators of a command line with where each ends, and whether a shell has to expand anything."""
    operators = []
    expands = False
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise _malformed(line, "a quote is not closed, or a backslash stands at the end")
        position = token.end()
        if operator := token["operator"]:
            operators.append((operator, position))
        expands |= bool(token["expansion"]) or any(mark in (token["quoted"] or "") for mark in "$`")
    if not text:
        raise _malformed(line, "it is empty")
    return operators, expands


def _replaces_shell(text: str, operators: list[tuple[str, int]], last: str) -> bool:
    """Say whether the last command of a line can take the shell's place without changing what the line does."""
    if not {operator for operator, _ in operators}.issubset(_SEPARATORS + _REDIRECTIONS):
        return False
    starts = [0, *(end for operator, end in operators if operator in _SEPARATORS)]
    first_words = [text[start:].split(maxsplit=1)[:1] for start in starts]
    if any(word[0] in _KEYWORDS for word in first_words if word):
        return False
    return bool(last) and last.split()[0] not in _BUILTINS | _KEYWORDS


def _malformed(line: Setting, reason: str) -> UsageError:
    return UsageError(
        f"cannot understand the command {line.value!r}: {reason}",
        details=(f"it comes from {line.origin}",),
        hint="write it as you would in a shell, on one line",
        code="IB307",
    )
