"""Commands and code in README and docs, taken from the text itself.

A comment in front of a block says how it is run:

    <!-- run with: OPTIONS -->       appended to each command that trains, so that it takes seconds
    <!-- not run: REASON -->         it needs the Hub, a GPU, an hour or what the reader alone has
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INDENTED = re.compile(r"(?:^ {4}\S.*\n(?: {4,}.*\n)*)", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|\s)(?:hf-cifar|-m hf_cifar|(?:python )?scripts/run\.py) (?P<rest>.*)")


@dataclass(frozen=True)
class Block:
    """A block of code in a page: its language, its text, and the comment in front of it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """Return the lines, continued ones as one."""
        return re.sub(r"\\\n\s*", "", self.text).splitlines()

    @property
    def commands(self) -> list[list[str]]:
        """Return the arguments of each command of this package, without comments and what says "and so on"."""
        found = (_COMMAND.search(line) for line in self.lines if not line.lstrip().startswith(("#", "usage:")))
        texts = (re.sub(r"\[[^]]*\]|…", "", match["rest"]) for match in found if match)
        return [shlex.split(text, comments=True) for text in texts]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, fenced and indented, in their order."""
    text = page.read_text()
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match["language"], match["text"], match["mark"] or "")
        for match in _FENCE.finditer(text)
    ]
    without = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    found += [
        Block(page, without.count("\n", 0, match.start()) + 1, "", match[0], "")
        for match in _INDENTED.finditer(without)
    ]
    return sorted(found, key=lambda block: block.line)


ALL = [block for page in PAGES for block in blocks(page)]
# Their blocks of bash and python are run, in this order and in one folder.
RUN_PAGES = [
    ROOT / "docs" / "index.md",
    ROOT / "README.md",
    ROOT / "docs" / "probe.md",
    ROOT / "docs" / "fine-tuning.md",
    ROOT / "docs" / "backbones.md",
    ROOT / "docs" / "evaluation.md",
]


def as_run(block: Block) -> str:
    """Return the text of a block with the options of its comment in what trains."""
    prefix, _, options = block.mark.partition("run with: ")
    if prefix or not options:
        return block.text
    if block.language == "python":
        return re.sub(r"Experiment\((.*?)\)", rf"Experiment(\1, {options})", block.text, count=1)
    return "\n".join(f"{line} {options}" if line.startswith("hf-cifar train") else line for line in block.lines)
