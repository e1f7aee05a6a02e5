# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Files that are either the old or the new one, and a lock between runs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_POLL_S = 0.1


def write_atomically(path: str, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` by a file with ``text`` in one step; its directory must exist."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: str, value: Any, indent: int | None = 2) -> None:
    """Write ``value`` as JSON, indented unless it is long, creating the directory (0755) when it is missing."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_atomically(path, json.dumps(value, indent=indent, sort_keys=True) + "\n")


def read_json(path: str) -> dict[str, Any] | None:
    """The object in a JSON file, None when there is no file; ValueError naming a damaged file."""
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__} where a JSON object is expected")
    return value


def remove_file(path: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def scratch(directory: str) -> Iterator[str]:
    """Let temporary files lie in a directory that only one run uses, and that is empty before and gone afterwards.

    What a killed run leaves there is removed by the next one.
    """
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory, mode=0o700)
    before, tempfile.tempdir = tempfile.tempdir, directory
    try:
        yield directory
    finally:
        tempfile.tempdir = before
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def lock(path: str, timeout: float) -> Iterator[int]:
    """Hold the only lock on ``path`` and give its descriptor.

    The lock lives as long as any process has the descriptor, so a conda process that outlives
    its parent keeps it. Only the owner can open the file: nobody else can block a run.
    Raises TimeoutError after ``timeout`` seconds.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(handle, path, timeout)
        yield handle
    finally:
        os.close(handle)


def _wait(handle: int, path: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"another run has held {path} for more than {timeout:g} seconds; "
                    "wait for it to end, or raise lock_timeout"
                ) from None
            time.sleep(_POLL_S)
        else:
            return
