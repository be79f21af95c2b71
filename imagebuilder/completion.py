"""Completion scripts for shells: static, made from the table of options."""

from imagebuilder.options import COMMANDS, options_of
from layers.errors import UsageError

_BASH = """\
_imagebuilder() {
  local words
  case "${COMP_WORDS[1]}" in
@CASES@
    *) words="@COMMANDS@" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _imagebuilder imagebuilder
"""


def script(shell: str) -> str:
    """Return the script of a shell; UsageError IB101 for one that has none."""
    match shell:
        case "bash":
            return _bash()
        case "zsh":
            return f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"
        case "fish":
            return _fish()
        case _:
            raise UsageError(f"no completion for {shell!r}", hint="give bash, zsh or fish", code="IB101")


def _bash() -> str:
    cases = (
        f'    {command}) words="{" ".join(option.flag for option in options_of(command))}" ;;' for command in COMMANDS
    )
    return _BASH.replace("@CASES@", "\n".join(cases)).replace("@COMMANDS@", " ".join(COMMANDS))


def _fish() -> str:
    found = [
        f"complete -c imagebuilder -n __fish_use_subcommand -f -a {command} -d '{summary}'"
        for command, summary in COMMANDS.items()
    ]
    for command in COMMANDS:
        for option in options_of(command):
            short = f" -s {option.short[1:]}" if option.short else ""
            value = " -r" if option.metavar else ""
            found.append(
                f"complete -c imagebuilder -n '__fish_seen_subcommand_from {command}'"
                f" -l {option.key}{short}{value} -d '{option.help}'"
            )
    return "\n".join(found) + "\n"
