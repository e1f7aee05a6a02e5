# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Decisions about server certificates; they run on the controller, where ansible-core brings `cryptography`."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterable

# RFC 1123 host names, and the underscores that container engines give.
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
# A mistyped address, such as 192.0.2.300, must not pass as a name.
_NUMBERS = re.compile(r"\d+(\.\d+)+")
_KEYS = "RSA and ECDSA keys (P-256, P-384)"


def subject_alt_names(names: Iterable[str]) -> list[str]:
    """Host names and IP addresses as X.509 subject alternative names (RFC 5280, 4.2.1.6), each once, in order.

    Returns entries such as ``DNS:lab.example`` and ``IP:192.0.2.7``. Raises ValueError for what is neither.
    """
    found: dict[str, None] = {}
    for name in names:
        try:
            # A link-local address may name its interface (fe80::1%eth0), which a certificate cannot.
            found[f"IP:{ipaddress.ip_address(ipaddress.ip_address(name).packed)}"] = None
            continue
        except ValueError:
            pass
        if not _HOST_NAME.fullmatch(name) or _NUMBERS.fullmatch(name):
            raise ValueError(f"{name!r} is neither a host name nor an IP address (accepted: lab.example, 192.0.2.7)")
        found[f"DNS:{name.lower()}"] = None
    return list(found)


def name_constraints(alt_names: Iterable[str]) -> list[str]:
    """Permitted subtrees (RFC 5280, 4.2.1.10) of a CA that may vouch for these alternative names only.

    An address becomes the network that has it alone: ``IP:192.0.2.7`` gives ``IP:192.0.2.7/32``.
    """
    return [f"IP:{ipaddress.ip_network(name[3:])}" if name.startswith("IP:") else name for name in alt_names]


def certificate_problems(
    certificate: str,
    private_key: str,
    certificate_variable: str,
    key_variable: str,
    now: datetime.datetime | None = None,
) -> list[str]:
    """Sentences that say why a certificate and its key cannot serve; empty when they can.

    certificate: PEM text, the server's certificate first. private_key: PEM text. now: aware time, for tests.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    if not certificate.strip():
        return [f"{certificate_variable} is empty but {key_variable} is not: give both, or neither to have one made."]
    try:
        leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
        leaf_key = leaf.public_key()
    except ValueError:
        return [
            f"{certificate_variable} is not a certificate: accepted is PEM text (-----BEGIN CERTIFICATE-----), "
            "the server's own first."
        ]
    except UnsupportedAlgorithm:
        return [f"{certificate_variable} has an unusual kind of key: accepted are {_KEYS}."]
    if not private_key.strip():
        return [f"{key_variable} is empty: accepted is the PEM text of the key that belongs to {certificate_variable}."]
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except TypeError:
        return [f"{key_variable} has a passphrase, which no service can type at start: remove it with openssl pkey."]
    except ValueError:
        return [f"{key_variable} is not a private key: accepted is PEM text (-----BEGIN PRIVATE KEY-----)."]
    except UnsupportedAlgorithm:
        return [f"{key_variable} is an unusual kind of key: accepted are {_KEYS}."]

    problems = []

    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf_key.public_bytes(*der) != key.public_key().public_bytes(*der):
        problems.append(
            f"{key_variable} does not belong to {certificate_variable}: give the key that the certificate is made for."
        )
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    if leaf.not_valid_after_utc <= moment:
        problems.append(f"{certificate_variable} expired on {leaf.not_valid_after_utc:%Y-%m-%d}: give a valid one.")
    if leaf.not_valid_before_utc > moment:
        problems.append(
            f"{certificate_variable} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on: give one that is valid now."
        )
    try:
        is_ca = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if is_ca:
        problems.append(
            f"{certificate_variable} is a CA (CA:TRUE), which clients refuse as a server's certificate: "
            "give the leaf that the CA issued, first in the text."
        )
    return problems
