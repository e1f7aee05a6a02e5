# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""conda's list of the environments that a user has made, by which ``conda env list`` finds them anywhere.

Source: conda's documentation of ``conda env list``; the file has one absolute path a line. conda itself
ignores a list that it cannot write, as on a read-only home, and so does this module.
"""

from __future__ import annotations

import os
from contextlib import suppress

from .files import write_atomically

PATH = "~/.conda/environments.txt"


def register(prefix: str) -> None:
    """Put an environment on the list, unless it is there."""
    lines = _read()
    if prefix not in lines:
        _write([*lines, prefix])


def unregister(prefix: str) -> None:
    """Take an environment off the list, and whatever lies below it."""
    lines = _read()
    kept = [line for line in lines if line != prefix and not line.startswith(prefix + os.sep)]
    if kept != lines:
        _write(kept)


def _read() -> list[str]:
    try:
        with open(os.path.expanduser(PATH), encoding="utf-8") as stream:
            return [line.strip() for line in stream if line.strip()]
    except OSError:
        return []


def _write(lines: list[str]) -> None:
    path = os.path.expanduser(PATH)
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        write_atomically(path, "".join(f"{line}\n" for line in lines), mode)
