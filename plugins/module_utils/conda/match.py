# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Conda's language for naming packages (MatchSpec), and checks of channels.

Sources: conda's documentation of ``MatchSpec``
(https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-search.html) and the standard CEP 29
(https://conda.org/learn/ceps/cep-0029).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from .version import VersionSpec

SUBDIRS = frozenset(
    (
        "noarch",
        "linux-32",
        "linux-64",
        "linux-aarch64",
        "linux-armv6l",
        "linux-armv7l",
        "linux-ppc64le",
        "linux-riscv64",
        "linux-s390x",
        "osx-64",
        "osx-arm64",
        "win-32",
        "win-64",
        "win-arm64",
    )
)
_KEYS = ("version", "build", "build_number", "channel", "subdir", "sha256")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_BUILD = re.compile(r"[A-Za-z0-9_.+*]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PAIR = re.compile(r"""\s*([a-z0-9_]+)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^'",\s\]]+))\s*(?:,|$|(?<=\s))""")
_NUMBER = re.compile(r"[0-9]+")
_WITH_BUILD = re.compile(r"(.*[^=<>!~,|\s])(?:\s+=?|=)([^=<>!~,|\s]+)", re.DOTALL)
_TOKEN = re.compile(r"/t/[^/\s'\"]+")
_USER = re.compile(r"(?<=://)[^/\s\"]+@")
_REDACTED = "***"
# What conda means by the channel 'defaults' unless it is configured otherwise.
_DEFAULTS = ("pkgs/main", "pkgs/r", "pkgs/msys2")


class Package(Protocol):
    """What a specification looks at in a package; ``channel`` is without the platform."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def build(self) -> str: ...
    @property
    def build_number(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def subdir(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def redact(text: str) -> str:
    """Hide the user part and the token of every URL in ``text``."""
    return _TOKEN.sub(f"/t/{_REDACTED}", _USER.sub(f"{_REDACTED}@", text))


def has_credentials(url: str) -> bool:
    """Whether a URL carries a password, or a user name for http(s), where tokens hide."""
    parts = urlsplit(url)
    if parts.password is not None:
        return True
    return parts.username is not None and parts.scheme.rpartition("+")[2] in ("http", "https")


def check_channel(channel: str) -> str:
    """Return a channel's name or URL unchanged.

    Raises ValueError for a blank one, for one that a command line would take for an option or
    for two words, and for one with credentials, which conda would copy into many files.
    """
    if not channel.strip():
        raise ValueError("a channel is blank; a channel's name or URL is expected")
    if channel.startswith("-") or re.search(r"\s", channel):
        raise ValueError(f"channel '{redact(channel)}' is neither a channel's name nor a URL")
    if has_credentials(channel) or _TOKEN.search(channel):
        raise ValueError(
            f"channel '{redact(channel)}' carries credentials, which conda copies into many files; "
            "put them into ~/.netrc (mode 0600) and give the plain URL"
        )
    return channel


def split_subdir(channel: str) -> tuple[str, str]:
    """Split ``https://host/conda-forge/linux-64`` into the channel and the platform."""
    head, _slash, last = channel.rstrip("/").rpartition("/")
    return (head, last) if head and last in SUBDIRS else (channel.rstrip("/"), "")


def channel_name(channel: str) -> str:
    """The short name of a channel: the last part of its URL that is not a platform."""
    return split_subdir(channel)[0].rpartition("/")[2]


def channel_allowed(channel: str, allowed: Sequence[str]) -> bool:
    """Whether a channel is on a list of allowed ones, or there is no list.

    A name allows this name; a URL allows itself and the channels below it. A name never allows a URL that only
    ends like it, which anybody can have.
    """
    given = channel.rstrip("/")
    entries = [entry.rstrip("/") for entry in allowed]
    below = any("://" in entry and given.startswith(f"{entry}/") for entry in entries)
    return not entries or given in entries or below


def _same_channel(wanted: str, actual: str) -> bool:
    """Whether a channel's URL is the wanted one, or ends with the wanted name."""
    names = (wanted, *_DEFAULTS) if wanted == "defaults" else (wanted,)
    return any(actual == name or ("://" not in name and actual.endswith(f"/{name}")) for name in names)


@dataclass(frozen=True)
class MatchSpec:
    """A package specification; ``text`` is what was written, everything else its meaning."""

    name: str
    version: VersionSpec | None = None
    build: str = ""
    build_number: int | None = None
    channel: str = ""
    subdir: str = ""
    sha256: str = ""
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> MatchSpec:
        """Read a specification: positional (``c/linux-64::n>=1,<2``), or with brackets.

        Raises ValueError, naming the specification, for everything that is not understood.
        """
        try:
            return _parse(text)
        except ValueError as error:
            raise ValueError(redact(f"package specification '{text}' is not understood: {error}")) from error

    def matches(self, record: Package) -> bool:
        """Whether an installed or available package meets the specification."""
        return (
            record.name == self.name
            and (self.version is None or self.version.matches(record.version))
            and (not self.build or _glob(self.build, record.build))
            and self.build_number in (None, record.build_number)
            and (not self.channel or _same_channel(self.channel, record.channel))
            and self.subdir in ("", record.subdir)
            and self.sha256 in ("", record.sha256)
        )

    def canonical(self) -> str:
        """The specification in conda's canonical form; reading it again gives an equal one."""
        brackets: dict[str, str] = {}
        head = self._channel(brackets)
        head += self.name + self._version_and_build(brackets)
        if self.build_number is not None:
            brackets["build_number"] = str(self.build_number)
        if self.sha256:
            brackets["sha256"] = self.sha256
        pairs = ",".join(f"{key}='{value}'" for key, value in brackets.items())
        return f"{head}[{pairs}]" if pairs else head

    def _channel(self, brackets: dict[str, str]) -> str:
        if self.channel:
            return self.channel + (f"/{self.subdir}" if self.subdir else "") + "::"
        if self.subdir:
            brackets["subdir"] = self.subdir
        return ""

    def _version_and_build(self, brackets: dict[str, str]) -> str:
        single = self.version.single() if self.version else None
        plain = ""
        if single and single.operator in ("==", "="):
            plain = single.operator + single.value
        elif self.version:
            brackets["version"] = self.version.canonical()
        if not self.build:
            return plain
        if single and single.operator == "==" and "*" not in self.build:
            return f"{plain}={self.build}"
        brackets["build"] = self.build
        return plain


def _glob(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))


def _parse(text: str) -> MatchSpec:
    head, keyed = _split_brackets(text.strip())
    channel, separator, rest = head.rpartition("::")
    rest = rest.strip() if separator else rest
    name = _NAME.match(rest)
    if not name:
        raise ValueError("it has no package name")
    values = _merged(
        _channel(channel) if separator else {},
        _split_version(rest[name.end() :]),
        _channel(keyed.pop("channel")) if "channel" in keyed else {},
        keyed,
    )
    return _build(name[0].lower(), values, text.strip())


def _merged(*groups: dict[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for group in groups:
        twice = sorted(set(values) & set(group))
        if twice:
            raise ValueError(f"{' and '.join(twice)} given twice")
        values.update(group)
    return values


def _split_brackets(text: str) -> tuple[str, dict[str, str]]:
    head, bracket, rest = text.partition("[")
    if not bracket:
        return text, {}
    if not rest.endswith("]"):
        raise ValueError("the bracket is not closed at its end")
    values: dict[str, str] = {}
    position, body = 0, rest[:-1].strip()
    while position < len(body):
        pair = _PAIR.match(body, position)
        if not pair:
            raise ValueError(f"'{body[position:]}' is not a list of key='value'")
        key, value = pair[1], next(group for group in pair.groups()[1:] if group is not None)
        if key not in _KEYS:
            raise ValueError(f"unknown key '{key}' (known: {', '.join(_KEYS)})")
        if key in values:
            raise ValueError(f"{key} given twice")
        values[key] = value
        position = pair.end()
    return head, values


def _channel(text: str) -> dict[str, str]:
    """Read a channel, with or without a platform; '*' is any channel."""
    channel, subdir = split_subdir(text.strip())
    if "*" in channel and channel != "*":
        raise ValueError(f"channel '{channel}' has a '*'; give the whole name, or '*' for any channel")
    values = {} if channel == "*" else {"channel": check_channel(channel)}
    return {**values, "subdir": subdir} if subdir else values


def _split_version(tail: str) -> dict[str, str]:
    """Read what follows the name: ``=1.2``, ``=1.2=build``, ``>=1,<2``, ``1.2 build``, ``1|2=build``."""
    if not tail.strip():
        return {}
    if not re.match(r"[\s=<>!~]", tail):
        raise ValueError(f"unexpected '{tail}' after the name")
    text = re.sub(r"\s*([,|])\s*|([=<>!~])\s+", r"\1\2", tail).strip()
    found = _WITH_BUILD.fullmatch(text)
    version = found[1] if found else text
    if re.search(r"\s", version):
        raise ValueError(f"'{tail.strip()}' is more than a version and a build")
    if not found:
        return {"version": version}
    # With a build beside it, conda takes '=1.2' for exactly 1.2.
    plain = re.fullmatch(r"==?([^=,|]+)", version)
    return {"version": plain[1] if plain else version, "build": found[2]}


def _build(name: str, values: dict[str, str], text: str) -> MatchSpec:
    build, sha256, number = values.get("build", ""), values.get("sha256", ""), values.get("build_number")
    subdir, channel = values.get("subdir", ""), values.get("channel", "")
    if "build" in values and not _BUILD.fullmatch(build):
        raise ValueError(f"'{build}' is not a build")
    if "sha256" in values and not _SHA256.fullmatch(sha256):
        raise ValueError(f"'{sha256}' is not a sha256 of 64 lower-case hexadecimal digits")
    if number is not None and not _NUMBER.fullmatch(number):
        raise ValueError(f"build number '{number}' is not a number")
    if "subdir" in values and subdir not in SUBDIRS:
        raise ValueError(f"unknown platform '{subdir}'")
    return MatchSpec(
        name=name,
        version=VersionSpec.parse(values["version"]) if "version" in values else None,
        build=build,
        build_number=None if number is None else int(number),
        channel=channel,
        subdir=subdir,
        sha256=sha256,
        text=text,
    )
