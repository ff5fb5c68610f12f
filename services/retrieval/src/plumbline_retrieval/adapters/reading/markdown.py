"""Pieces of Markdown that more than one format becomes."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its header; shorter rows are filled up. Nothing for a table without words."""
    width = max((len(row) for row in rows), default=0)
    if not any(cell.strip() for row in rows for cell in row):
        return ""
    lines = [_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join([lines[0], _row(["---"] * width), *lines[1:]])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"
