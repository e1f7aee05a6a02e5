# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What the failure of a package manager means for the person who reads it.

The patterns are the messages of ansible.builtin.apt and ansible.builtin.dnf, and of librepo and rpm behind the latter.
A message that no pattern knows is passed on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNKNOWN = re.compile(r"No package (?:matching '(?P<apt>[^']+)'|(?P<dnf>\S+)) (?:is )?available")
_UNREADABLE = re.compile(r"Failed to download metadata for repo '(?P<repo>[^']+)': *(?P<why>.*)", re.DOTALL)
# dnf's command line says why in a list above its last line; its Python interface keeps that to itself.
_REASON = re.compile(r"Errors during downloading metadata for repository '(?P<repo>[^']+)':\s+- (?P<why>[^\n]+)")
_SIGNATURE = re.compile(r"Failed to validate GPG signature for (?P<package>\S+): *(?P<why>.*)", re.DOTALL)
# The first by linux_base, before it declares a repository; the second by librepo, when a package needs the key.
_KEYS = (
    re.compile(r"(?P<why>[^\n]*)\s*gpgkey unreadable: (?P<url>\S+)"),
    re.compile(r"(?P<why>Curl error \(\d+\): .*? for (?P<url>\S+).*)", re.DOTALL),
)
_LOCK = re.compile(r"lockfile is held by another process|Failed to acquire (?:APT|apt)?.*lock|Could not get lock")


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def package_problem(message: str, failures: Iterable[str] = (), names_in: str = "", repositories_in: str = "") -> str:
    """One paragraph: what happened, which variable is to be looked at, what would be accepted.

    message, failures: as apt's and dnf's modules return them. names_in: the variable or variables that hold the
    packages' names, empty when none does. repositories_in: the variable that holds the repositories.
    """
    texts = [message, *failures]
    unknown = {match["apt"] or match["dnf"] for text in texts for match in _UNKNOWN.finditer(text)}
    if unknown:
        found = f"The host's repositories have no package {', '.join(sorted(unknown))}"
        if not names_in:
            return f"{found}: give it a repository that has it."
        return (
            f"{found}: accepted in {names_in} are names that its distribution or a declared repository has. Debian and"
            " RHEL often name a package differently, and some are in EPEL only, which is never assumed."
        )
    for text in texts:
        if match := _REASON.search(text) or _UNREADABLE.search(text):
            return (
                f"The repository {match['repo']} cannot be read: {_one_line(match['why'])}."
                f" Correct its baseurl in {repositories_in}, or disable it on the host."
            )
        if match := _SIGNATURE.search(text):
            return (
                f"The package {match['package']} was refused: {_one_line(match['why'])}. Accepted are packages signed"
                f" by the gpgkey of their repository in {repositories_in}."
            )
        if match := _KEYS[0].search(text) or _KEYS[1].search(text):
            return (
                f"The key {match['url']} cannot be read: {_one_line(match['why'])}."
                f" Correct that gpgkey in {repositories_in}."
            )
        if _LOCK.search(text):
            return (
                f"Another package manager is at work on the host: {_one_line(text)}. Run this again when it has ended."
            )
    return "\n".join(dict.fromkeys(filter(None, texts)))
