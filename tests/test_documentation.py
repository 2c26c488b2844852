"""README and docs, against the package: every command, option, file and extra that they name is there."""

import ast
import configparser
import re

import pytest
from support.documented import ALL, PAGES, ROOT

from hf_cifar import InputError
from hf_cifar.cli import parse
from hf_cifar.config.commands import COMMANDS
from hf_cifar.config.run_config import flags
from hf_cifar.config.stages import STAGES

CARDS = sorted((ROOT / "model_cards").rglob("*.md"))
COMMAND_BLOCKS = [block for block in ALL if block.commands]
# What a reader has and a test has not: a command that names it is right all the same.
ABSENT = re.compile(
    r"no such folder|no such file|no folder|is not there|no stage|holds no|belongs to no run", re.IGNORECASE
)


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=[block.name for block in COMMAND_BLOCKS])
def test_every_command_is_one_that_the_package_takes(block, tmp_path, monkeypatch):
    """Each option is known, has a value that fits, and does something in its stage."""
    monkeypatch.chdir(tmp_path)
    for command in block.commands:
        try:
            if not {"--help", "--help-all", "--version"} & set(command):
                parse(command)
        except InputError as error:
            assert ABSENT.search(str(error)), f"{' '.join(command)}: {error}"


def test_the_commands_are_found():
    assert len([command for block in COMMAND_BLOCKS for command in block.commands]) > 25


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_or_shows_is_there(page):
    text = page.read_text()
    links = re.findall(r"\]\(((?!https?:)[^)#\s]+)", text) + re.findall(r'<img src="((?!https?:)[^"]+)', text)
    links += re.findall(r"^- \{?src: ([^,\s]+)", text, re.MULTILINE)  # of a card's widget
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_cards_are_those_that_the_package_writes_now():
    cards = [path for path in CARDS if path.parent.name != "model_cards"]
    assert len(cards) >= 2
    for path in cards:
        text = path.read_text()
        assert len(text.splitlines()) <= 200, path
        headings = re.findall(r"^## .*", text, re.MULTILINE)
        template = (ROOT / "hf_cifar" / "hub" / "card" / "template.md").read_text()
        assert [line for line in headings if line not in template] == [], path
        shown = {path.parent / link for link in re.findall(r"\]\(((?!https?:)[^)#\s]+)", text)}
        unused = [file for file in (path.parent / "figures").glob("*") if file not in shown]
        assert unused == [], "no picture without a place in the card"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_of_the_repository_that_a_page_names_is_there(page):
    named = re.findall(r"`((?:tests|scripts|benchmarks|hf_cifar|docs|model_cards)/[\w./-]+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_extra_that_a_page_names_is_there(page):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    named = {name for text in re.findall(r"hf_cifar\[([\w,]+)\]", page.read_text()) for name in text.split(",")}
    assert named <= set(parser["options.extras_require"])


def test_the_table_of_stages_is_whole():
    table = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", PAGES[0].read_text(), re.MULTILINE)
    assert {name for row in table for name in row if name} == set(COMMANDS)


def test_the_options_page_names_every_stage():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "options.md").read_text(), re.MULTILINE)
    assert set(table) == set(STAGES)


def test_no_output_is_left_to_be_filled_in():
    assert [block.name for block in ALL if re.fullmatch(r"[A-Z_]+\s*", block.text)] == []


def test_the_readme_is_short():
    assert len(PAGES[0].read_text().splitlines()) <= 150


def test_every_option_of_the_table_is_there():
    known = {name.replace("_", "-") for name in flags()} | {"config", "debug"}
    table = re.findall(r"^\| (`--.*?) \|", (ROOT / "docs" / "options.md").read_text(), re.MULTILINE)
    named = {name for row in table for name in re.findall(r"--([\w-]+)", row)}
    # Fields of TrainingArguments, which cost an import to list.
    assert len(named) > 20 and named - known <= {"learning-rate", "label-smoothing-factor", "train-batch-size"}


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "python"], ids=lambda block: block.name)
def test_python_of_a_page_is_python(block):
    if ">>>" not in block.text:
        ast.parse(block.text)


def test_every_message_of_the_table_is_one_of_the_code():
    code = "".join(path.read_text() for path in sorted((ROOT / "hf_cifar").rglob("*.py")))
    code = re.sub(r'"\s*f?"', "", code)
    table = re.findall(r"^\| `(.*?)` \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    pieces = [piece.strip() for message in table for piece in message.split("…")]
    assert len(table) > 25 and [piece for piece in pieces if piece not in code] == []
