"""Help that fits a screen, and tells nothing that does nothing."""

import re

import pytest

from hf_cifar.cli import main
from hf_cifar.config.commands import COMMANDS
from hf_cifar.config.help_text import overview, stage_help
from hf_cifar.config.run_config import flags, stages_of
from hf_cifar.config.stages import STAGES


def told(text: str) -> set[str]:
    return {name.replace("-", "_") for name in re.findall(r"^  --([a-z-]+)", text, re.MULTILINE)}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_help_of_a_stage_is_a_screen_with_the_options_that_do_something(command):
    text, stage = stage_help(command), COMMANDS[command]
    assert len(text.splitlines()) <= 48 and max(map(len, text.splitlines())) <= 100
    for name in told(text) & set(flags()):
        assert stage in stages_of(name), name
    everything = told(stage_help(command, everything=True))
    expected = {name.rstrip("_") for name in flags() if stage in stages_of(name)} - {"stage"}
    assert expected - everything <= ({"batch_size"} if STAGES[stage] else set())


def test_the_overview_tells_every_command_and_every_option():
    text = overview()
    assert {name.rstrip("_") for name in flags()} <= told(text)
    assert all(re.search(rf"^  {command} +\w", text, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["finetune", "--help"], ["--stage", "finetune", "-h"], ["--stage=finetune", "--help"]]
)
def test_help_is_that_of_the_stage_that_is_named(arguments, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: hf-cifar finetune [DATA]")
