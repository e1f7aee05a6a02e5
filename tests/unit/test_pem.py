# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Splitting of PEM bundles."""

from __future__ import annotations

import base64
import hashlib

import pytest
from ansible_collections.pystack.infra.plugins.module_utils import pem


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def certificate(common_name: str, version: bool = True, padding: int = 0) -> bytes:
    """The shape of a certificate, without a meaning."""
    empty = der(0x30)
    name = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03"), der(0x0C, common_name.encode()))))
    fields = [
        der(0x02, b"\x01"),
        empty,
        empty,
        empty,
        name,
        der(0x30, b"\x04\x81\x81" + b"x" * 129 if padding else b""),
    ]
    if version:
        fields.insert(0, der(0xA0, der(0x02, b"\x02")))
    return der(0x30, der(0x30, *fields), empty, der(0x03, b"\x00"))


def armour(data: bytes, kind: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(data).decode()}\n-----END {kind}-----\n"


ONE, TWO = certificate("Eins"), certificate("Zwei ä", version=False, padding=1)


def test_a_bundle_is_split_in_order_and_each_certificate_comes_once() -> None:
    found = pem.parse_bundle("b", "# a comment\n" + armour(ONE) + "\r\n".join(armour(TWO).split("\n")) + armour(ONE))
    assert [entry.subject for entry in found] == ["CN=Eins", "CN=Zwei ä"]
    assert found[0].fingerprint == hashlib.sha256(ONE).hexdigest()


def test_the_written_form_is_stable() -> None:
    (found,) = pem.parse_bundle("b", armour(TWO))
    assert all(len(line) <= 64 for line in found.pem.splitlines())
    assert pem.parse_bundle("again", found.pem) == [found]


def test_no_end_of_line_is_needed_at_the_end() -> None:
    assert len(pem.parse_bundle("b", armour(ONE).rstrip("\n"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no PEM certificate in it"),
        ("just text\n", "no PEM certificate in it"),
        (armour(ONE) + armour(b"x", "PRIVATE KEY"), "has a block of PRIVATE KEY"),
        (armour(ONE, "TRUSTED CERTIFICATE"), "has a block of TRUSTED CERTIFICATE"),
        (armour(ONE) + armour(TWO)[:60], "certificate 2 (line 4) has no END line: truncated?"),
        (
            armour(ONE).replace("-----END CERTIFICATE-----", "") + armour(TWO),
            "BEGIN CERTIFICATE in the wrong place",
        ),
        ("-----END CERTIFICATE-----\n", "END CERTIFICATE in the wrong place"),
        (armour(ONE).replace("M", "!"), "certificate 1 (line 1) is invalid: not base64"),
        (armour(ONE[:-1]), "certificate 1 (line 1) is invalid: truncated"),
        (armour(ONE + b"\x00"), "is invalid: not one DER sequence"),
        (armour(der(0x30, der(0x02, b"\x01"))), "is invalid: not a certificate"),
        (armour(b""), "is invalid: truncated"),
    ],
)
def test_what_is_wrong_is_named_with_the_bundle(text: str, message: str) -> None:
    with pytest.raises(pem.PemError) as error:
        pem.parse_bundle("company", text)
    assert str(error.value).startswith("certificate bundle company: ")
    assert message in str(error.value)


@pytest.mark.parametrize("cut", range(1, len(TWO)))
def test_a_cut_certificate_is_never_accepted(cut: int) -> None:
    with pytest.raises(pem.PemError):
        pem.parse_bundle("cut", armour(TWO[:cut]))
