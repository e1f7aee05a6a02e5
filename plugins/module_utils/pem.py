# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Split PEM bundles into certificates: standard library only, no trust decision is made here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

_BOUNDARY = re.compile(r"^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$")
_ATTRIBUTES = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}


class PemError(ValueError):
    """A bundle cannot be used; the message names the bundle and the place."""


class Certificate(NamedTuple):
    """One certificate, in the one spelling that we write."""

    fingerprint: str
    """SHA-256 of the DER form, lower-case hex."""
    subject: str
    pem: str


def _element(data: bytes, start: int = 0) -> tuple[int, int, int]:
    """Tag, start and end of the content of the DER element at ``start``."""
    if start + 2 > len(data):
        raise ValueError("truncated")
    tag, length, offset = data[start], data[start + 1], start + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or offset + size > len(data):
            raise ValueError("bad length")
        length = int.from_bytes(data[offset : offset + size], "big")
        offset += size
    if offset + length > len(data):
        raise ValueError("truncated")
    return tag, offset, offset + length


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        tag, start, end = _element(data, offset)
        yield tag, data[start:end]
        offset = end


def _text(tag: int, value: bytes) -> str:
    if tag == 0x1E:  # BMPString
        return value.decode("utf-16-be", "replace")
    return value.decode("utf-8" if tag == 0x0C else "latin-1", "replace")


def _subject(der: bytes) -> str:
    """The subject as ``CN=..., O=...``; ValueError when ``der`` is not one certificate."""
    tag, start, end = _element(der)
    if tag != 0x30 or end != len(der):
        raise ValueError("not one DER sequence")
    parts = list(_children(der[start:end]))
    if len(parts) != 3 or parts[0][0] != 0x30:
        raise ValueError("not a certificate")
    fields = list(_children(parts[0][1]))
    if fields and fields[0][0] == 0xA0:  # the version; absent in v1 certificates
        fields.pop(0)
    if len(fields) < 6 or fields[4][0] != 0x30:
        raise ValueError("not a certificate")
    names = []
    for _set_tag, relative_name in _children(fields[4][1]):
        for _sequence_tag, pair in _children(relative_name):
            (_oid_tag, oid), (value_tag, value) = list(_children(pair))[:2]
            if oid in _ATTRIBUTES:
                names.append(f"{_ATTRIBUTES[oid]}={_text(value_tag, value)}")
    return ", ".join(reversed(names)) or "(no subject)"


def _certificate(lines: list[str]) -> Certificate:
    try:
        der = base64.b64decode("".join(line.strip() for line in lines), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64 ({error})") from error
    subject = _subject(der)
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return Certificate(
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=subject,
        pem=f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n",
    )


def parse_bundle(name: str, text: str) -> list[Certificate]:
    """All certificates of a bundle, in its order and each once.

    Text between the blocks is a comment, as in every tool. Anything that is not a certificate is refused:
    a private key in a trust bundle is a leak, and a bundle that stops half-way was truncated.
    """
    found: dict[str, Certificate] = {}
    begun: int | None = None
    count = 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        boundary = _BOUNDARY.match(line.strip())
        if boundary is None:
            if begun is not None:
                lines.append(line)
            continue
        edge, kind = boundary.groups()
        if kind != "CERTIFICATE":
            raise PemError(
                f"certificate bundle {name}: line {number} has a block of {kind}; only CERTIFICATE blocks are accepted"
            )
        if (edge == "BEGIN") == (begun is not None):
            raise PemError(f"certificate bundle {name}: line {number} has {edge} CERTIFICATE in the wrong place")
        if edge == "BEGIN":
            begun, lines, count = number, [], count + 1
            continue
        try:
            certificate = _certificate(lines)
        except ValueError as error:
            raise PemError(
                f"certificate bundle {name}: certificate {count} (line {begun}) is invalid: {error}"
            ) from error
        found.setdefault(certificate.fingerprint, certificate)
        begun = None
    if begun is not None:
        raise PemError(f"certificate bundle {name}: certificate {count} (line {begun}) has no END line: truncated?")
    if not found:
        raise PemError(f"certificate bundle {name}: no PEM certificate in it (a DER file must be converted first)")
    return list(found.values())
