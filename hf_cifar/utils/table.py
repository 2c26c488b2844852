"""Tables of text: Markdown for files and the screen, HTML for notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """Cells with a heading for each column; numbers are aligned to the right.

    Attributes:
        columns: their headings.
        rows: one cell a column.
        num_text_columns: how many columns, from the left, are words.
        title: of the whole.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_text_columns: int = 1
    title: str = ""

    def markdown(self, *, padded: bool = False, escaped: bool = True) -> str:
        """Return the table in Markdown.

        Args:
            padded: align the columns with spaces, for reading as plain text.
            escaped: the cells are plain text, whose bars are escaped; else they are Markdown already.
        """
        cells = [[cell.replace("|", "\\|") if escaped else cell for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(3, *(len(row[index]) for row in cells)) if padded else 4 for index in range(len(self.columns))]
        rule = [
            (":" if not padded else "-") + "-" * (width - 1) if self._is_text(index) else "-" * (width - 1) + ":"
            for index, width in enumerate(widths)
        ]
        lines = [self._padded(row, widths) if padded else row for row in cells]
        return "\n".join("| " + " | ".join(row) + " |" for row in (lines[0], rule, *lines[1:]))

    def text(self) -> str:
        """Return the table as plain text, columns two spaces apart."""
        cells = (self.columns, *self.rows)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(self._padded(row, widths)) for row in cells)

    def html(self) -> str:
        """Return the table in HTML, with the title as its caption."""
        rows = [self._html_row("th", self.columns), *(self._html_row("td", row) for row in self.rows)]
        return f"<table><caption>{escape(self.title)}</caption>{''.join(rows)}</table>"

    def _is_text(self, index: int) -> bool:
        return index < self.num_text_columns

    def _padded(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        pairs = enumerate(zip(row, widths, strict=True))
        return [cell.ljust(width) if self._is_text(index) else cell.rjust(width) for index, (cell, width) in pairs]

    def _html_row(self, tag: str, row: Sequence[str]) -> str:
        sides = ["left" if self._is_text(index) else "right" for index in range(len(row))]
        cells = zip(sides, row, strict=True)
        return (
            "<tr>"
            + "".join(f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for side, cell in cells)
            + "</tr>"
        )
