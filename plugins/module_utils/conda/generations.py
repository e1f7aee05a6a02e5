# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Generations of an environment: prefixes side by side, of which a symbolic link names the one in use.

    <envs_dir>/lab                                  -> _generations/lab/5f3c0a1b2c3d
    <envs_dir>/_generations/lab/5f3c0a1b2c3d/       a prefix, complete and never changed
    <envs_dir>/_generations/lab/5f3c0a1b2c3d.json   its book, written last

A prefix without a book was never completed, whatever killed the run that made it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .files import read_json, remove_file, write_json
from .integrity import Fault, check_files, check_manifest, processes_using
from .records import Distribution, PackageRecord, Snapshot

DIRECTORY = "_generations"
ID_LENGTH = 12
FROZEN = "conda-meta/frozen"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True)
class Generations:
    """The generations of one environment."""

    envs_dir: str
    name: str

    @property
    def link(self) -> str:
        """The environment's own path."""
        return os.path.join(self.envs_dir, self.name)

    @property
    def directory(self) -> str:
        """Where its generations are."""
        return os.path.join(self.envs_dir, DIRECTORY, self.name)

    def prefix(self, identity: str) -> str:
        """The path of one generation."""
        return os.path.join(self.directory, identity)

    def book_path(self, identity: str) -> str:
        """The file that makes a generation complete."""
        return os.path.join(self.directory, f"{identity}.json")

    def current(self) -> str:
        """The id of the generation in use; empty when the environment's path is none of our links."""
        try:
            target = os.path.join(self.envs_dir, os.readlink(self.link))
        except OSError:
            return ""
        directory, identity = os.path.split(os.path.normpath(target))
        return identity if directory == os.path.normpath(self.directory) else ""

    def found(self) -> list[str]:
        """The ids of all prefixes, complete or not, sorted."""
        try:
            with os.scandir(self.directory) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def complete(self) -> list[str]:
        """The ids of the generations that can be used."""
        return [identity for identity in self.found() if os.path.isfile(self.book_path(identity))]


@dataclass(frozen=True)
class Book:
    """What was in a generation when it was completed; ``files`` is a manifest of the module integrity."""

    digest: str
    engine: str = ""
    conda: tuple[PackageRecord, ...] = ()
    pip: tuple[Distribution, ...] = ()
    files: Any = field(default_factory=list)

    def snapshot(self, variables: dict[str, str]) -> Snapshot:
        """The generation as if its records had been read."""
        packages = {record.name: record for record in self.conda}
        return Snapshot(True, packages, {found.name: found for found in self.pip}, variables)


_RECORD_KEYS = ("name", "version", "build", "build_number", "channel", "subdir", "url", "sha256")


def read_book(generations: Generations, identity: str) -> Book | None:
    """The book of a generation, None for one that is incomplete; ValueError for a damaged file."""
    path = generations.book_path(identity)
    data = read_json(path)
    if data is None or not os.path.isdir(generations.prefix(identity)):
        return None
    try:
        return Book(
            digest=data["digest"],
            engine=data["engine"],
            conda=tuple(PackageRecord(**record) for record in data["conda"]),
            pip=tuple(Distribution(**found) for found in data["pip"]),
            files=data["files"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; remove it to have the generation built again") from error


def write_book(generations: Generations, identity: str, book: Book) -> None:
    """Declare a generation complete."""
    write_json(
        generations.book_path(identity),
        {
            "digest": book.digest,
            "engine": book.engine,
            "conda": [{key: getattr(record, key) for key in _RECORD_KEYS} for record in book.conda],
            "pip": [vars(found) for found in book.pip],
            "files": book.files,
        },
        indent=None,
    )


def candidates(generations: Generations, digest: str) -> list[str]:
    """The complete generations with a content, the one in use first."""
    short = digest[:ID_LENGTH]
    found = [identity for identity in generations.complete() if identity.partition(".")[0] == short]
    return sorted(found, key=lambda identity: (identity != generations.current(), identity))


def free_id(generations: Generations, digest: str) -> str:
    """An id for a new prefix with a content: nothing is ever built over something that may be in use.

    What an interrupted run left, and nobody uses, is removed before anything is built.
    """
    complete = set(generations.complete())
    taken = {
        identity
        for identity in generations.found()
        if identity in complete or processes_using(generations.prefix(identity))
    }
    short = digest[:ID_LENGTH]
    names = (short, *(f"{short}.{number}" for number in range(1, len(taken) + 2)))
    return next(name for name in names if name not in taken)


def activate(generations: Generations, identity: str) -> None:
    """Let the environment's path name a generation, in one step.

    A directory in the way, an environment that was kept in place until now, becomes a prefix without a book.
    """
    target = os.path.join(DIRECTORY, generations.name, identity)
    beside = generations.prefix(".link")
    _discard(beside)
    os.symlink(target, beside)
    if os.path.isdir(generations.link) and not os.path.islink(generations.link):
        replaced = generations.prefix("replaced")
        _discard(replaced)
        _exchange(beside, generations.link)
        os.rename(beside, replaced)
    else:
        os.replace(beside, generations.link)


def _discard(path: str) -> None:
    """Remove what an interrupted exchange left."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_file(path)


def _exchange(one: str, other: str) -> None:
    """Exchange two names; without a moment in which one is missing where the system can do that (renameat2)."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        failed = library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    except AttributeError:  # a C library older than the call
        failed = -1
    if failed:
        aside = f"{one}.aside"
        os.rename(other, aside)
        os.rename(one, other)
        os.rename(aside, one)


def freeze(prefix: str, message: str) -> None:
    """Let conda refuse to change a prefix (CEP 22)."""
    write_json(os.path.join(prefix, FROZEN), {"message": message})


def thaw(generations: Generations, identity: str) -> None:
    """Turn a generation into an ordinary environment, which its link goes on to name."""
    remove_file(generations.book_path(identity))
    remove_file(os.path.join(generations.prefix(identity), FROZEN))


def history_after(history: Iterable[str], identity: str) -> tuple[str, ...]:
    """The order in which generations were put to use, with one more use at its end."""
    return (*(known for known in history if known != identity), identity)


def in_order(generations: Generations, history: Sequence[str]) -> list[str]:
    """The complete generations in the order in which they were put to use.

    Those that the history does not know, since it was lost, come first, by the time of their books.
    """
    complete = set(generations.complete())
    unknown = sorted(complete - set(history), key=lambda identity: os.stat(generations.book_path(identity)).st_mtime_ns)
    return [*unknown, *(identity for identity in history if identity in complete)]


def surplus(generations: Generations, history: Sequence[str], keep: int) -> list[str]:
    """The prefixes that nobody needs: neither in use, nor among the last ``keep`` complete ones."""
    wanted = {generations.current(), *in_order(generations, history)[-keep:]}
    unneeded = [identity for identity in generations.found() if identity not in wanted]
    return [identity for identity in unneeded if not processes_using(generations.prefix(identity))]


def remove(generations: Generations, identity: str) -> None:
    """Remove one generation: first it is no longer complete, then it is no longer there."""
    remove_file(generations.book_path(identity))
    shutil.rmtree(generations.prefix(identity))


def remove_all(generations: Generations) -> None:
    """Remove the link and every generation."""
    if generations.current():
        os.unlink(generations.link)
    if os.path.isdir(generations.directory):
        shutil.rmtree(generations.directory)
    with suppress(OSError):
        os.rmdir(os.path.dirname(generations.directory))


def damage(generations: Generations, identity: str, book: Book, check: str) -> list[Fault]:
    """What is no longer as it was; ``check`` is fast, full or none."""
    if check == "none":
        return []
    prefix = generations.prefix(identity)
    faults = check_manifest(prefix, book.files)
    return faults or (check_files(prefix) if check == "full" else [])
