"""Help that fits a screen, and tells nothing that does nothing."""

import re
import shlex

import pytest

from hf_cifar.cli import main, parse
from hf_cifar.config.commands import COMMANDS
from hf_cifar.config.help_text import GROUPS, overview, stage_help
from hf_cifar.config.run_config import flags, stages_of
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError


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


@pytest.mark.parametrize("command", list(COMMANDS))
def test_no_line_of_the_short_help_is_cut_and_its_examples_are_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = stage_help(command)
    assert not re.search("…$", text, re.MULTILINE)
    examples = re.findall(r"^  hf-cifar (.*)$", text, re.MULTILINE)
    assert examples and all(example.startswith(command) for example in examples)
    for example in examples:
        try:
            parse(shlex.split(example))
        except InputError as error:
            assert re.search("no such folder|no folder|belongs to no run", str(error)), f"{example}: {error}"


@pytest.mark.parametrize("columns", [80, 90])
def test_help_fits_a_narrow_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (["train", "--help"], ["push", "--help-all"], ["--help"]):
        assert main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        # A flag and an example are in one piece.
        assert [line for line in lines if len(line) > columns and not re.match(r" +--|.*hf-cifar", line)] == []


def test_every_usual_option_stands_in_a_group():
    shown = [item.metadata["usual"] for _, item in flags().values() if item.metadata["usual"]]
    assert {usual.group for usual in shown} == set(GROUPS)
    for usual in shown:
        assert {*usual.in_stages, *usual.rare_in} <= set(STAGES)


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
