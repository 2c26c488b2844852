"""`--print-completion`: a script by which a shell completes commands, options and choices. Light: no torch here."""

from hf_cifar.config.commands import COMMANDS
from hf_cifar.config.fields import flag
from hf_cifar.config.help_text import ALWAYS, does_something
from hf_cifar.config.run_config import flags
from hf_cifar.config.training_arguments import TOLD
from hf_cifar.errors import unknown_name

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "hf-cifar"


def completion(shell: str) -> str:
    """Return the script for a shell.

    Args:
        shell: bash, zsh or fish.

    Raises:
        InputError: it is another one.
    """
    if shell not in SHELLS:
        raise unknown_name("shell for --print-completion", shell, SHELLS)
    return _fish() if shell == "fish" else _bash(zsh=shell == "zsh")


def options_of(command: str) -> list[str]:
    """Return the options that do something with a command, as they are typed."""
    stage = COMMANDS[command]
    own = [flag(name) for name in (*flags(), *TOLD) if name != "stage" and does_something(name, stage)]
    return [*own, *(spelled.split()[0] for spelled, _ in ALWAYS), "--help", "--help-all"]


def _choices() -> dict[str, tuple[str, ...]]:
    """Return the options that take one of a few words."""
    return {flag(name): item.metadata["choices"] for name, (_, item) in flags().items() if item.metadata["choices"]}


def _bash(zsh: bool) -> str:
    """Return a function for bash, which zsh runs too by its own emulation."""
    commands = "\n".join(f'    {name}) options="{" ".join(options_of(name))}" ;;' for name in COMMANDS)
    choices = "\n".join(
        f'    {name}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")); return ;;'
        for name, words in _choices().items()
    )
    start = ["autoload -U +X compinit && compinit", "autoload -U +X bashcompinit && bashcompinit"] if zsh else []
    return "\n".join(
        [
            *start,
            "_hf_cifar() {",
            '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" options=""',
            "  COMPREPLY=()",
            '  case "$before" in',
            choices,
            "  esac",
            '  if [ "$COMP_CWORD" -eq 1 ] && [ "${word#-}" = "$word" ]; then',
            f'    COMPREPLY=($(compgen -W "{" ".join(COMMANDS)}" -- "$word"))',
            "    return",
            "  fi",
            '  case "${COMP_WORDS[1]}" in',
            commands,
            f'    *) options="{" ".join(_everything())}" ;;',
            "  esac",
            '  if [ "${word#-}" != "$word" ]; then COMPREPLY=($(compgen -W "$options" -- "$word")); fi',
            "}",
            # Values that are no choices, and the data, are files.
            f"complete -o default -F _hf_cifar {PROGRAM}",
        ]
    )


def _everything() -> list[str]:
    return list(dict.fromkeys(["--stage", *(name for command in COMMANDS for name in options_of(command))]))


def _fish() -> str:
    names = " ".join(COMMANDS)
    lines = [f"complete -c {PROGRAM} -n __fish_use_subcommand -a '{names}'"]
    takers: dict[str, list[str]] = {}
    for command in COMMANDS:
        for option in options_of(command):
            takers.setdefault(option, []).append(command)
    choices = _choices()
    for option, commands in takers.items():
        seen = "" if len(commands) == len(COMMANDS) else f" -n '__fish_seen_subcommand_from {' '.join(commands)}'"
        words = f" -x -a '{' '.join(choices[option])}'" if option in choices else ""
        lines.append(f"complete -c {PROGRAM}{seen} -l {option[2:]}{words}")
    return "\n".join(lines)
