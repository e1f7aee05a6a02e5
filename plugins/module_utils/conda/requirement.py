# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Requirements for pip, and the part of Python's version scheme that decides whether one is met.

Source: the Python packaging specifications "Version specifiers" and "Dependency specifiers"
(https://packaging.python.org/en/latest/specifications/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .match import has_credentials, redact

_VERSION = re.compile(
    r"""v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_number>\d*))?
    (?P<post>-(?P<post_dash>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.ASCII,
)
_PHASES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_REQUIREMENT = re.compile(_NAME + r"\s*(?P<extras>\[[A-Za-z0-9._, -]*\])?\s*(?:@\s*(?P<url>\S+)|(?P<conditions>[^@]*))")
_CONDITION = re.compile(r"(==|!=|<=|>=|~=|<|>)\s*([^\s=<>~]+)")
_INFINITE = float("inf")
_SHORTEST_COMPATIBLE = 2

Local = tuple[tuple[int, int, str], ...]


def normalise(name: str) -> str:
    """The comparable form of a distribution's name: ``Foo.Bar_baz`` is ``foo-bar-baz``."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, order=True)
class PipVersion:
    """One version in Python's order; the fields are in the order of their weight."""

    epoch: int
    release: tuple[int, ...]
    pre: tuple[str, int]
    post: int
    dev: float  # a whole number, or infinity without one
    local: Local

    @classmethod
    def parse(cls, text: str) -> PipVersion:
        """Read a version such as ``1!2.0rc1.post3.dev4+local``; ValueError if it is none."""
        found = _VERSION.fullmatch(text.strip().lower())
        if not found:
            raise ValueError(f"'{text}' is not a version that pip knows")
        post = -1 if found["post"] is None else int(found["post_dash"] or found["post_number"] or 0)
        dev = _INFINITE if found["dev"] is None else int(found["dev_number"] or 0)
        return cls(
            int(found["epoch"] or 0),
            _without_zeros(tuple(map(int, found["release"].split(".")))),
            _phase(found["pre"], found["pre_number"], post, dev),
            post,
            dev,
            _local(found["local"]),
        )

    @property
    def is_early(self) -> bool:
        """Whether this is a pre-release or a development version."""
        return self.pre[0] in ("a", "b", "rc") or self.dev != _INFINITE

    def public(self) -> PipVersion:
        """The version without its local part."""
        return PipVersion(self.epoch, self.release, self.pre, self.post, self.dev, ())

    def earliest(self) -> PipVersion:
        """The first development version on the way to this version."""
        pre = self.pre if self.post >= 0 else ("", 0)
        return PipVersion(self.epoch, self.release, pre, self.post, 0, ())

    def is_post_of(self, other: PipVersion) -> bool:
        """Whether this is a post-release of ``other``, which is none itself."""
        same = (self.epoch, self.release, self.pre) == (other.epoch, other.release, other.pre)
        return same and self.post >= 0 > other.post and other.dev == _INFINITE

    def starts_with(self, epoch: int, release: tuple[int, ...]) -> bool:
        """Whether the release begins with the given numbers."""
        padded = self.release + (0,) * len(release)
        return self.epoch == epoch and padded[: len(release)] == release


def _without_zeros(release: tuple[int, ...]) -> tuple[int, ...]:
    end = len(release)
    while end > 1 and release[end - 1] == 0:
        end -= 1
    return release[:end]


def _phase(pre: str | None, number: str | None, post: int, dev: float) -> tuple[str, int]:
    if pre:
        return _PHASES.get(pre, pre), int(number or 0)
    only_dev = post < 0 and dev != _INFINITE
    return ("", 0) if only_dev else ("z", 0)  # 1.0.dev1 < 1.0a1 < 1.0


def _local(text: str | None) -> Local:
    if not text:
        return ()
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"[-_.]", text))


def _numbers(text: str) -> tuple[int, tuple[int, ...]]:
    """Epoch and all written release numbers of ``1!2.0``; ValueError for anything more."""
    found = re.fullmatch(r"v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)", text)
    if not found:
        raise ValueError(f"'{text}.*' is not a prefix of a version")
    return int(found[1] or 0), tuple(map(int, found[2].split(".")))


@dataclass(frozen=True)
class Condition:
    """One relation of a requirement, for example ``>=`` and ``1.2``."""

    operator: str
    value: str

    def matches(self, version: PipVersion) -> bool:
        """Whether an installed version meets the condition (pre-releases count)."""
        if self.value.endswith(".*"):
            starts = version.starts_with(*_numbers(self.value[:-2]))
            return starts if self.operator == "==" else not starts
        return _holds(self.operator, version, PipVersion.parse(self.value), self.value)


def _holds(operator: str, version: PipVersion, wanted: PipVersion, value: str) -> bool:
    public = version.public()
    if operator in ("==", "!="):
        equal = (version if wanted.local else public) == wanted
        return equal if operator == "==" else not equal
    if operator == "<":
        return public < wanted and (wanted.is_early or public < wanted.earliest())
    if operator == ">":
        return public > wanted and not public.is_post_of(wanted)
    if operator == "<=":
        return public <= wanted
    if operator == ">=":
        return public >= wanted
    return version.starts_with(*_compatible(value)) and public >= wanted


def _compatible(value: str) -> tuple[int, tuple[int, ...]]:
    """The prefix that ``~=2.2.1`` demands: 2.2."""
    found = _VERSION.fullmatch(value.lower())
    release = found["release"].split(".") if found else []
    if not found or len(release) < _SHORTEST_COMPATIBLE:
        raise ValueError(f"'~={value}' needs at least two components, as in '~=1.2'")
    return int(found["epoch"] or 0), tuple(map(int, release[:-1]))


@dataclass(frozen=True)
class Requirement:
    """One requirement for pip: a name with conditions, or a name with a URL."""

    name: str
    extras: str
    conditions: tuple[Condition, ...]
    url: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read ``name``, ``name[extra]>=1,<2`` or ``name @ https://…``.

        Raises ValueError, naming the requirement, for pip's options, files, markers, bare URLs,
        ``===``, unreadable versions and credentials.
        """
        text = text.strip()
        try:
            return _parse(text)
        except ValueError as error:
            raise ValueError(redact(f"pip requirement '{text}' is not understood: {error}")) from error

    def accepts(self, version: str) -> bool:
        """Whether an installed version meets every condition; an unreadable one meets none."""
        if not self.conditions:
            return True
        try:
            parsed = PipVersion.parse(version)
        except ValueError:
            return False
        return all(condition.matches(parsed) for condition in self.conditions)


def _parse(text: str) -> Requirement:
    if ";" in text:
        raise ValueError("markers (after ';') are not supported; decide in the inventory")
    found = _REQUIREMENT.fullmatch(text)
    if not found:
        raise ValueError("a name with conditions, or 'name @ URL', is expected")
    url = found["url"] or ""
    if url and "://" not in url:
        raise ValueError(f"'{url}' is not a URL")
    if has_credentials(url):
        raise ValueError("its URL carries credentials; put them into ~/.netrc (mode 0600) and give the plain URL")
    extras = ",".join(sorted(filter(None, (normalise(e.strip()) for e in (found["extras"] or "")[1:-1].split(",")))))
    return Requirement(normalise(found["name"]), extras, _conditions(found["conditions"] or ""), url, text)


def _conditions(text: str) -> tuple[Condition, ...]:
    text = text.strip()
    if not text:
        return ()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    conditions = []
    for part in text.split(","):
        found = _CONDITION.fullmatch(part.strip())
        if not found:
            raise ValueError(f"'{part.strip()}' is not a condition such as '>=1.2'")
        condition = Condition(found[1], found[2])
        if condition.value.endswith(".*") and condition.operator not in ("==", "!="):
            raise ValueError(f"'{part.strip()}' joins '{condition.operator}' with '*'")
        if "+" in condition.value and condition.operator not in ("==", "!="):
            raise ValueError(f"'{part.strip()}' joins '{condition.operator}' with a local version")
        condition.matches(PipVersion.parse("0"))  # proves that the value can be read
        conditions.append(condition)
    return tuple(conditions)
