"""Completion scripts: valid in their shells, and what they offer is what the command line takes."""

import shutil
import subprocess

import pytest

from hf_cifar.cli import main
from hf_cifar.config.commands import COMMANDS
from hf_cifar.config.completion import SHELLS, completion
from hf_cifar.config.fields import flag
from hf_cifar.config.run_config import flags, stages_of


def offered(*words: str) -> list[str]:
    """What bash offers for the last of some words of a command line."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"{completion('bash')}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n_hf_cifar\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_is_valid_in_its_shell(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=completion(shell), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_offers_commands_options_and_choices():
    assert offered("hf-cifar", "") == list(COMMANDS)
    assert offered("hf-cifar", "ev") == ["evaluate"]
    assert offered("hf-cifar", "finetune", "--unf") == ["--unfreeze", "--unfreeze-every"]
    assert offered("hf-cifar", "train", "data", "--solver", "") == ["trainer", "lbfgs"]
    assert offered("hf-cifar", "--stage", "fine") == ["finetune"]
    assert offered("hf-cifar", "train", "photos/ca") == [], "files, by the shell's default"


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
def test_a_command_is_offered_its_own_options_and_no_others(command):
    found = set(offered("hf-cifar", command, "--"))
    for name in set(flags()) - {"stage", "batch_size"}:
        assert (flag(name) in found) == (COMMANDS[command] in stages_of(name)), name
    assert ("--learning-rate" in found) == (command == "train")


def test_fish_offers_an_option_with_the_commands_that_take_it():
    lines = completion("fish").splitlines()
    (line,) = [line for line in lines if line.split(" -l ")[-1].split()[0] == "split"]
    seen = "complete -c hf-cifar -n '__fish_seen_subcommand_from evaluate'"
    assert line == f"{seen} -l split -x -a 'train validation test all'"


def test_the_command_line_prints_it_and_refuses_other_shells(capsys):
    assert main(["--print-completion", "zsh"]) == 0
    assert capsys.readouterr().out == completion("zsh") + "\n"
    assert main(["--print-completion=csh"]) == 2
    assert "csh" in capsys.readouterr().err
    assert main(["--print-completion"]) == 2
