# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Conda's order of versions, and the version part of a package specification.

Sources: conda's documentation of ``VersionOrder`` and "Package match specifications"
(https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html), and the standards CEP 33 and CEP 29
(https://conda.org/learn/ceps/). Where they differ from conda's code, conda's code decides, but for two things: patterns
take either case, and ``!=1.2*`` and ``>=1.2*`` mean ``!=1.2.*`` and ``>=1.2``, not a version with a star in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering
from itertools import zip_longest
from operator import eq, ge, gt, le, lt, ne
from typing import Union

Part = Union[int, float, str]
Component = tuple[Part, ...]

_CHARACTERS = re.compile(r"[a-z0-9._+!]+")
_RUNS = re.compile(r"[0-9]+|[^0-9]+")
_RELATION = re.compile(r"(==|!=|<=|>=|~=|=|<|>)(.+)", re.DOTALL)
_PIECE = re.compile(r"\s*\^[^$]*\$|[|,]|[^|,]+")  # what stands between '^' and '$' keeps its '|' and ','
_UNQUOTABLE = re.compile(r"[]['\"#]")
_POST = float("inf")
_SHORTEST_COMPATIBLE = 2


def _parts(component: str, version: str) -> Component:
    """Split ``15rc2`` into ``(15, 'rc', 2)``; a component always starts with a number."""
    runs = _RUNS.findall(component)
    if not runs:
        raise ValueError(f"version '{version}' has an empty component")
    parts = tuple(_part(run) for run in runs)
    return parts if isinstance(parts[0], int) else (0, *parts)


def _part(run: str) -> Part:
    if run.isdigit():
        return int(run)
    if run == "post":
        return _POST
    return "DEV" if run == "dev" else run  # upper case sorts before every other word


def _split_main(text: str, version: str) -> tuple[Component, ...]:
    """Split at dots and underscores; a trailing underscore belongs to the last component."""
    return _split(text[:-1], version, "_") if text.endswith("_") else _split(text, version)


def _split(text: str, version: str, tail: str = "") -> tuple[Component, ...]:
    components = text.replace("_", ".").split(".")
    components[-1] += tail
    return tuple(_parts(component, version) for component in components)


def _compare_parts(one: Part, other: Part) -> int:
    if isinstance(one, str) != isinstance(other, str):
        return -1 if isinstance(one, str) else 1
    return (one > other) - (one < other)  # type: ignore[operator]  # same kind by now


def _compare(one: tuple[Component, ...], other: tuple[Component, ...]) -> int:
    for left, right in zip_longest(one, other, fillvalue=()):
        for a, b in zip_longest(left, right, fillvalue=0):
            if a != b:
                return _compare_parts(a, b)
    return 0


def _trimmed(components: tuple[Component, ...]) -> tuple[Component, ...]:
    """Drop what stands for zero at the ends, so that equal versions hash alike."""
    result = [_trim(component) for component in components]
    while result and not result[-1]:
        result.pop()
    return tuple(result)


def _trim(component: Component) -> Component:
    end = len(component)
    while end and component[end - 1] == 0:
        end -= 1
    return component[:end]


@total_ordering
class VersionOrder:
    """One version in conda's order: ``epoch!main+local``, compared case-insensitively.

    Numbers compare as numbers and words as words; a word is older than a number, ``dev``
    is the oldest word, ``post`` is newer than every number, and what is missing is 0.
    A dash means an underscore, unless the version has both.

    Raises ValueError for an empty version, a strange character, an empty component, a
    repeated ``!`` or ``+``, and an epoch that is not a number.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip().lower()
        if not self.text:
            raise ValueError("version is empty")
        plain = self.text if "_" in self.text else self.text.replace("-", "_")
        if not _CHARACTERS.fullmatch(plain):
            raise ValueError(f"version '{text}' has a character that conda does not accept in versions")
        epoch, mark, rest = plain.rpartition("!")
        if mark and not epoch.isdigit():
            raise ValueError(f"version '{text}' has an epoch that is not a number")
        main, plus, local = rest.partition("+")
        if "+" in local:
            raise ValueError(f"version '{text}' has more than one '+'")
        self.main = ((int(epoch or 0),), *_split_main(main, text))
        self.local = _split(local, text) if plus else ()

    def __repr__(self) -> str:
        return f"VersionOrder({self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VersionOrder):
            return NotImplemented
        return not _compare(self.main, other.main) and not _compare(self.local, other.local)

    def __lt__(self, other: VersionOrder) -> bool:
        return (_compare(self.main, other.main) or _compare(self.local, other.local)) < 0

    def __hash__(self) -> int:
        return hash((_trimmed(self.main), _trimmed(self.local)))

    def starts_with(self, prefix: VersionOrder) -> bool:
        """Whether this version lies under ``prefix``: 1.2.3 and 1.2rc1 under 1.2, not 1.20."""
        if not prefix.local:
            return _components_start(self.main, prefix.main)
        return not _compare(self.main, prefix.main) and _components_start(self.local, prefix.local)


def _components_start(components: tuple[Component, ...], prefix: tuple[Component, ...]) -> bool:
    last = len(prefix) - 1
    if _compare(components[:last], prefix[:last]):
        return False
    mine = components[last] if len(components) > last else ()
    end = len(prefix[last]) - 1
    if _compare((mine[:end],), (prefix[last][:end],)):
        return False
    part = mine[end] if len(mine) > end else 0
    wanted = prefix[last][end]
    if isinstance(wanted, str):
        return isinstance(part, str) and part.startswith(wanted)
    return part == wanted


@dataclass(frozen=True)
class Constraint:
    """One condition on a version.

    ``operator`` is a relation of conda (``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``~=``),
    ``=`` (starts with), ``!=*`` (does not start with), ``*`` (any) or ``pattern`` (a glob, or a
    regular expression from ``^`` to ``$``, both without regard to case); ``value`` is the version
    or the pattern.
    """

    operator: str
    value: str

    def matches(self, version: str) -> bool:
        """Whether ``version`` meets the condition; ValueError if it is not a version."""
        if self.operator == "*":
            return True
        if self.operator == "pattern":
            return bool(re.search(_expression(self.value), version, re.IGNORECASE))
        return _HOLDS[self.operator](VersionOrder(version), VersionOrder(self.value))

    def canonical(self) -> str:
        """The condition as conda writes it, for example ``==1.2`` or ``1.2.*``."""
        if self.operator in ("*", "pattern"):
            return self.value
        if self.operator in ("=", "!=*"):
            return f"{self.operator[:-1]}{self.value}.*"
        return f"{self.operator}{self.value}"


def _expression(pattern: str) -> str:
    if pattern.startswith("^"):
        return pattern
    return "^{}$".format(".*".join(re.escape(piece) for piece in pattern.split("*")))


def _excluded(version: VersionOrder, wanted: VersionOrder) -> bool:
    return not version.starts_with(wanted)


def _compatible(version: VersionOrder, wanted: VersionOrder) -> bool:
    return version >= wanted and version.starts_with(VersionOrder(wanted.text.rpartition(".")[0]))


_HOLDS: dict[str, Callable[[VersionOrder, VersionOrder], bool]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "=": VersionOrder.starts_with,
    "!=*": _excluded,
    "~=": _compatible,
}


def _constraint(text: str) -> Constraint:
    if text.startswith("^") and text.endswith("$"):
        return _regular_expression(text)
    relation = _RELATION.fullmatch(text)
    if relation:
        return _relation(text, relation[1], relation[2].strip())
    if text == "*":
        return Constraint("*", "*")
    if "*" in text.rstrip("*"):
        return Constraint("pattern", _checked_glob(text))
    if text.endswith("*"):
        return Constraint("=", _checked(text.rstrip("*").rstrip(".")))
    return Constraint("==", _checked(text))


def _relation(text: str, operator: str, value: str) -> Constraint:
    if operator == "~=" and len(value.split(".")) < _SHORTEST_COMPATIBLE:
        raise ValueError(f"'{text}' needs at least two components, as in '~=1.2'")
    if not value.endswith("*"):
        return Constraint(operator, _checked(value))
    if value == "*" and operator in ("=", "==", ">="):
        return Constraint("*", "*")
    if operator not in ("=", ">=", "!="):
        better = (operator if operator in ("<", "<=", ">") else "=") + value.rstrip("*").rstrip(".")
        raise ValueError(f"'{text}' joins '{operator}' with '*'; write '{better}' instead")
    prefix = _checked(value[:-2] if value.endswith(".*") else value[:-1])
    return Constraint("!=*" if operator == "!=" else operator, prefix)


def _checked(value: str) -> str:
    return VersionOrder(value).text


def _checked_glob(text: str) -> str:
    _checked(text.replace("*", "0"))
    return text.lower()


def _regular_expression(text: str) -> Constraint:
    unquotable = _UNQUOTABLE.search(text)
    if unquotable:
        raise ValueError(f"'{text}' has a {unquotable[0]}, with which conda reads no regular expression")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"'{text}' is not a regular expression: {error}") from error
    return Constraint("pattern", text)


def _alternatives(text: str) -> list[list[str]]:
    """Split at '|', and what is between at ','; regular expressions stay whole."""
    found = [[""]]
    for piece in _PIECE.findall(text):
        if piece == "|":
            found.append([""])
        elif piece == ",":
            found[-1].append("")
        else:
            found[-1][-1] += piece
    return found


@dataclass(frozen=True)
class VersionSpec:
    """Conditions on a version: alternatives (``|``) of conditions that all hold (``,``).

    ``1.2`` is exactly that version, ``=1.2``, ``1.2.*`` and ``1.2*`` are what starts with it.
    """

    alternatives: tuple[tuple[Constraint, ...], ...]

    @classmethod
    def parse(cls, text: str) -> VersionSpec:
        """Read a specification such as ``>=1.2,<2|=3.1``.

        Raises ValueError for an empty or unreadable part and for parentheses.
        """
        return cls(tuple(tuple(_constraint(part.strip()) for part in parts) for parts in _alternatives(text)))

    def matches(self, version: str) -> bool:
        """Whether ``version`` meets one of the alternatives."""
        return any(all(part.matches(version) for part in parts) for parts in self.alternatives)

    def canonical(self) -> str:
        """The specification as conda writes it; reading it again gives an equal one."""
        return "|".join(",".join(part.canonical() for part in parts) for parts in self.alternatives)

    def single(self) -> Constraint | None:
        """The only condition, or None where there are several."""
        if len(self.alternatives) == 1 and len(self.alternatives[0]) == 1:
            return self.alternatives[0][0]
        return None
