"""What is printed: JSON on standard output, all else where a person looks for it."""

from __future__ import annotations

import json
import sys
from typing import Any

from . import BANNER


def emit(data: object) -> None:
    print(json.dumps(data, indent=2))


def warn(text: str) -> None:
    print(text, file=sys.stderr)


def banner() -> None:
    warn(BANNER)


def table(rows: list[dict[str, Any]], columns: tuple[str, ...], heads: tuple[str, ...]) -> None:
    """Aligned columns below a commented head."""
    lines = [heads, *(tuple(str(row[column]) for column in columns) for row in rows)]
    widths = [max(len(line[i]) for line in lines) + (2 if i == 0 else 0) for i in range(len(columns))]
    for number, line in enumerate(lines):
        cells = [f"# {line[0]}", *line[1:]] if number == 0 else line
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
