# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What channels offer.

Sources: conda's documentation of ``conda search`` and "Package search and install specifications"
(https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-search.html). Where no package has the name
that is looked for, conda answers with all whose names contain it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from .match import SUBDIRS, MatchSpec, channel_name, check_channel, redact
from .records import PackageRecord, parse_record
from .runner import Conda, Done, RunError, _details, _json, _not_found, _reason
from .spec import SpecError
from .version import VersionOrder

_NAME = re.compile(r"(?P<channel>(?:\S*::)?)(?P<name>[A-Za-z0-9_.*-]+)")
_SIMILAR_SHOWN = 5
_HEAD = ("name", "version", "build", "channel", "size")

Read = TypeVar("Read")
Order = tuple[bool, Any]


@dataclass(frozen=True)
class Request:
    """What to look for, where, and for which platform (empty: this host's)."""

    specs: tuple[MatchSpec, ...]
    channels: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True)
class Offer:
    """A package of a channel; ``size`` is its archive's in bytes, 0 where the channel does not tell."""

    record: PackageRecord
    size: int = field(default=0, compare=False)
    license: str = field(default="", compare=False)

    def result(self) -> dict[str, Any]:
        """The package as the module returns it."""
        record = self.record
        known = {
            "name": record.name,
            "version": record.version,
            "build": record.build,
            "build_number": record.build_number,
            "channel": redact(record.channel),
            "subdir": record.subdir,
            "size": self.size,
            "sha256": record.sha256,
            "depends": list(record.depends),
        }
        return {**known, "license": self.license} if self.license else known


# ---------------------------------------------------------------- what is asked for


def read_request(specs: Sequence[str], channels: Sequence[str] = (), platform: str = "") -> Request:
    """Check what is to be looked for.

    Raises SpecError with every problem found, each with the path of the option.
    """
    problems: list[str] = []
    if not specs:
        problems.append("specs: is empty; at least one package specification is expected, such as 'pandas>=2'")
    if platform and platform not in SUBDIRS:
        problems.append(f"platform: '{platform}' is unknown; known are {', '.join(sorted(SUBDIRS))}")
    wanted = _each("specs", specs, read_spec, problems)
    given = _each("channels", channels, check_channel, problems)
    kept = tuple(channel for channel in given if channel != "nodefaults")
    if given and not kept:
        problems.append("channels: has only 'nodefaults', which is not a channel; name at least one channel")
    if problems:
        raise SpecError(problems)
    return Request(tuple(dict.fromkeys(wanted)), kept, platform)


def _each(option: str, texts: Sequence[str], read: Callable[[str], Read], problems: list[str]) -> list[Read]:
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(read(text))
        except ValueError as error:
            problems.append(f"{option}[{index}]: {error}")
    return found


def read_spec(text: str) -> MatchSpec:
    """Read a package specification whose name may have ``*``, each of which stands for any text.

    Raises ValueError, naming the specification, for everything that is not understood.
    """
    plain = text.strip()
    found = _NAME.match(plain)
    if not found or "*" not in found["name"]:
        return MatchSpec.parse(text)
    if not found["name"].strip("*"):
        raise ValueError(f"package specification '{redact(plain)}' names every package; give a part of the name")
    try:
        spec = MatchSpec.parse(f"{found['channel']}{found['name'].replace('*', '_')}{plain[found.end() :]}")
    except ValueError as error:
        reason = str(error).partition(" is not understood: ")[2]
        raise ValueError(f"package specification '{redact(plain)}' is not understood: {reason}") from error
    return replace(spec, name=found["name"].lower(), text=plain)


# ---------------------------------------------------------------- conda's answers


def search(conda: Conda, request: Request) -> list[Offer]:
    """Everything that channels offer, sorted by name, the newest first. conda runs once for each specification.

    Raises RunError naming all specifications that nothing matches, or saying why conda failed.
    """
    conda._require()
    offers: dict[Offer, None] = {}
    missing: list[str] = []
    places: dict[str, None] = {}
    similar: set[str] = set()
    for spec in request.specs:
        done = conda._run(_arguments(spec, request))
        answer = read_answer(done, request.channels)
        found = [offer for offer in answer.offers if fnmatchcase(offer.record.name, spec.name)]
        offers.update(dict.fromkeys(found))
        if not found:
            missing.append(spec.text)
            places.update(dict.fromkeys(answer.places))
            similar.update(offer.record.name for offer in answer.offers)
    if missing:
        raise RunError(f"conda search failed: {_missing(missing, list(places), similar, request.channels)}")
    return sorted(sorted(offers, key=_newest, reverse=True), key=lambda offer: offer.record.name)


def _arguments(spec: MatchSpec, request: Request) -> list[str]:
    options = ["--override-channels"] if request.channels else []
    options += [word for channel in request.channels for word in ("-c", channel)]
    options += ["--platform", request.platform] if request.platform else []
    return ["search", "--json", *options, spec.canonical()]


@dataclass(frozen=True)
class Answer:
    """Conda's answer: packages, or where none was found."""

    offers: tuple[Offer, ...] = ()
    places: tuple[str, ...] = ()


def read_answer(done: Done[str], channels: Sequence[str]) -> Answer:
    """Read what ``conda search --json`` says; RunError with one clear sentence unless it has searched."""
    answer = _json(done.stdout)
    if done.returncode == 0 and answer is not None:
        return Answer(offers=tuple(_offers(answer)))
    if answer is not None and str(answer.get("exception_name")).startswith("PackagesNotFound"):
        return Answer(places=tuple(map(str, answer.get("channel_urls") or ())))
    raise RunError(f"conda search failed: {_reason(answer, done, channels)}", _details(done))


def _offers(answer: Mapping[str, Any]) -> Iterable[Offer]:
    """Packages by their names; an explanation beside them is none."""
    for group in answer.values():
        for data in group if isinstance(group, list) else ():
            record = parse_record(data, "conda's answer")
            yield Offer(record, int(data.get("size") or 0), str(data.get("license") or ""))


def _missing(specs: Sequence[str], places: list[str], similar: Iterable[str], channels: Sequence[str]) -> str:
    sentence = _not_found({"packages": specs, "channel_urls": places}, "", channels)
    names = sorted(similar)
    shown = ", ".join(names[:_SIMILAR_SHOWN]) + (", …" if len(names) > _SIMILAR_SHOWN else "")
    return f"{sentence}; similar names: {shown}" if names else sentence


def _newest(offer: Offer) -> tuple[Order, int, str, str, str]:
    record = offer.record
    return _order(record.version), record.build_number, record.build, record.subdir, record.channel


def _order(version: str) -> Order:
    """Versions in conda's order, after those that conda could not read."""
    try:
        return True, VersionOrder(version)
    except ValueError:
        return False, version


def latest(offers: Iterable[Offer]) -> list[Offer]:
    """Only the first package of each name."""
    first: dict[str, Offer] = {}
    for offer in offers:
        first.setdefault(offer.record.name, offer)
    return list(first.values())


# ---------------------------------------------------------------- for people


def table(offers: Iterable[Offer]) -> list[str]:
    """Lines with a head: name, version, build, channel and size."""
    return columns([_HEAD, *(_row(offer) for offer in offers)])


def _row(offer: Offer) -> tuple[str, ...]:
    record = offer.record
    channel = channel_name(redact(record.channel))
    return record.name, record.version, record.build, f"{channel}/{record.subdir}", human_size(offer.size)


def human_size(size: int) -> str:
    """A number of bytes as people read it, ``7.4MB`` or ``17.0kB``; nothing for none."""
    mega, kilo = size / 10**6, size / 10**3
    return "" if not size else f"{mega:.1f}MB" if mega >= 1 else f"{kilo:.1f}kB"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text from rows of equally many cells, each column as wide as its widest cell.

    Cells without a single space between words keep Ansible from breaking the lines.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
