# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""dnf repositories as declared data.

Source: dnf.conf(5), "Repo Options" (baseurl, gpgkey) and "Variables" ($releasever, $basearch).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_BASE_URL = re.compile(r"(https?|ftp|file)://[^\s,]+")
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_KEY_URL = re.compile(r"(https://|file:///)[^\s,]+")


def is_key_text(gpgkey: str) -> bool:
    """Whether a gpgkey is the armored key itself, rather than where it lies."""
    return gpgkey.lstrip().startswith(_ARMOR)


def _problems_of(entry: Mapping[str, Any], where: str) -> list[str]:
    identifier, base_url, gpgkey = (str(entry.get(key) or "") for key in ("id", "baseurl", "gpgkey"))
    found = []
    if not _ID.fullmatch(identifier):
        found.append(f"{where}.id is {identifier!r}: accepted are letters, digits and _.:- without spaces.")
    # No message shows a URL that may have a password in it.
    if _CREDENTIALS.search(base_url):
        found.append(
            f"{where}.baseurl has credentials: accepted is a URL without them, since everybody on the host can read"
            " the files of repositories."
        )
    elif not _BASE_URL.fullmatch(base_url):
        found.append(
            f"{where}.baseurl is {base_url!r}: accepted is one https:// or http:// URL; $releasever may be in it."
        )
    if not gpgkey:
        found.append(
            f"{where}.gpgkey is missing: accepted are an https:// or file:/// URL and the armored key itself, because"
            " packages are always checked."
        )
    elif _CREDENTIALS.search(gpgkey):
        found.append(f"{where}.gpgkey has credentials: accepted is a URL without them.")
    elif not is_key_text(gpgkey) and not _KEY_URL.fullmatch(gpgkey):
        found.append(
            f"{where}.gpgkey is {gpgkey!r}: accepted are an https:// or file:/// URL and the armored key itself"
            f" ({_ARMOR} ...), which nobody can exchange on its way."
        )
    return found


def repository_problems(repositories: Iterable[Mapping[str, Any]], variable: str) -> list[str]:
    """Sentences about what cannot work in a list of repositories, empty when all is well.

    repositories: mappings with id, baseurl and gpgkey. variable: name of the variable that holds them.
    """
    entries = list(repositories)
    found = [problem for index, entry in enumerate(entries) for problem in _problems_of(entry, f"{variable}[{index}]")]
    names = [str(entry.get("id")) for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        found.append(f"{variable} has the id {', '.join(twice)} more than once: accepted is each id once.")
    return found
