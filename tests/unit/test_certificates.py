# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Which certificates can serve, and which names they are made for."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.certificates import (
    certificate_problems,
    name_constraints,
    subject_alt_names,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import DAY, NOW, Pair, issue

NOT_A_CERTIFICATE = (
    "crt is not a certificate: accepted is PEM text (-----BEGIN CERTIFICATE-----), the server's own first."
)
NOT_A_KEY = "key is not a private key: accepted is PEM text (-----BEGIN PRIVATE KEY-----)."
PASSPHRASE = "key has a passphrase, which no service can type at start: remove it with openssl pkey."
WRONG_KEY = "key does not belong to crt: give the key that the certificate is made for."
IS_CA = (
    "crt is a CA (CA:TRUE), which clients refuse as a server's certificate: "
    "give the leaf that the CA issued, first in the text."
)
# A curve that `cryptography` does not know: openssl ecparam -name secp112r1 -genkey, and req -x509 with that key.
ODD_KEY = """-----BEGIN EC PRIVATE KEY-----
MD4CAQEEDnHjUmn5Mm+9ZTb4ncxgoAcGBSuBBAAGoSADHgAETvsKR7xhBaCfYcPk
bPZc1IfeWbCpiYhVayJipA==
-----END EC PRIVATE KEY-----
"""
ODD_CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBKDCB8qADAgECAhQa6LouHEsdUDr6l7PbHZeMlUWGgTAKBggqhkjOPQQDAjAO
MQwwCgYDVQQDDANvZGQwIBcNMjYxMTIxMjI1MjIwWhgPMjA1NDA0MDcyMjUyMjBa
MA4xDDAKBgNVBAMMA29kZDAyMBAGByqGSM49AgEGBSuBBAAGAx4ABE77Cke8YQWg
n2HD5Gz2XNSH3lmwqYmIVWsiYqSjUzBRMB0GA1UdDgQWBBQ6z1ZVRStjzuFEglFi
czh2g+DQDzAfBgNVHSMEGDAWgBQ6z1ZVRStjzuFEglFiczh2g+DQDzAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCAyUAMCICDwC/jm+IeqevMNt6ZPfdDgIPAKq6
vsacfkwceVmAjFf6
-----END CERTIFICATE-----
"""


@pytest.fixture(scope="module")
def good() -> Pair:
    return issue()


@pytest.fixture(scope="module")
def authority() -> Pair:
    return issue("Authority", ca=True)


def problems(certificate: str, key: str) -> list[str]:
    return certificate_problems(certificate, key, "crt", "key")


# ---------------------------------------------------------------- certificates


def test_a_pair_serves(good: Pair) -> None:
    assert problems(good.pem, good.key_pem()) == []


def test_a_certificate_that_says_nothing_about_being_a_ca_serves() -> None:
    pair = issue(ca=None)
    assert problems(pair.pem, pair.key_pem()) == []


def test_rsa_and_the_traditional_format_of_keys_serve() -> None:
    pair = issue(key=rsa.generate_private_key(65537, 2048))
    assert problems(pair.pem, pair.key_pem(PrivateFormat.TraditionalOpenSSL)) == []


def test_comments_and_carriage_returns_do_not_matter(good: Pair) -> None:
    certificate = "Subject: Prüfstelle\n" + good.pem.replace("\n", "\r\n")
    assert problems(certificate, good.key_pem().replace("\n", "\r\n")) == []


def test_a_chain_has_the_leaf_first(authority: Pair) -> None:
    leaf = issue(issuer=authority)
    assert problems(leaf.pem + authority.pem, leaf.key_pem()) == []
    assert problems(authority.pem + leaf.pem, leaf.key_pem()) == [WRONG_KEY, IS_CA]


def test_a_ca_is_no_server(authority: Pair) -> None:
    assert problems(authority.pem, authority.key_pem()) == [IS_CA]


def test_expired() -> None:
    pair = issue(start=NOW - 9 * DAY, end=NOW - DAY)
    assert problems(pair.pem, pair.key_pem()) == [f"crt expired on {NOW - DAY:%Y-%m-%d}: give a valid one."]


def test_not_yet_valid() -> None:
    pair = issue(start=NOW + DAY)
    assert problems(pair.pem, pair.key_pem()) == [
        f"crt is valid from {NOW + DAY:%Y-%m-%d} on: give one that is valid now."
    ]


def test_validity_ends_on_the_second() -> None:
    pair = issue(start=NOW, end=NOW + DAY)
    for moment, count in ((NOW - DAY / 86400, 1), (NOW, 0), (NOW + DAY - DAY / 86400, 0), (NOW + DAY, 1)):
        assert len(certificate_problems(pair.pem, pair.key_pem(), "crt", "key", now=moment)) == count, moment


def test_the_key_of_another_certificate(good: Pair, authority: Pair) -> None:
    assert problems(good.pem, authority.key_pem()) == [WRONG_KEY]


def test_everything_wrong_is_said_at_once(good: Pair) -> None:
    bad = issue(ca=True, start=NOW - 9 * DAY, end=NOW - DAY)
    assert [problem.split()[0:4] for problem in problems(bad.pem, good.key_pem())] == [
        ["key", "does", "not", "belong"],
        ["crt", "expired", "on", f"{NOW - DAY:%Y-%m-%d}:"],
        ["crt", "is", "a", "CA"],
    ]


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_passphrase(good: Pair, form: PrivateFormat) -> None:
    assert problems(good.pem, good.key_pem(form, "swordfish")) == [PASSPHRASE]


@pytest.mark.parametrize("text", ["lab.crt", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", "\udcff"])
def test_garbage_for_a_certificate(good: Pair, text: str) -> None:
    assert problems(text, good.key_pem()) == [NOT_A_CERTIFICATE]


def test_a_cut_certificate_and_a_chain_with_a_cut_member(good: Pair) -> None:
    assert problems(good.pem[:200], good.key_pem()) == [NOT_A_CERTIFICATE]
    assert problems(good.pem + good.pem.replace("M", "!"), good.key_pem()) == [NOT_A_CERTIFICATE]


@pytest.mark.parametrize("text", ["hunter2", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"])
def test_garbage_for_a_key_is_not_quoted(good: Pair, text: str) -> None:
    assert problems(good.pem, text) == [NOT_A_KEY]


def test_pair_in_the_wrong_variables(good: Pair) -> None:
    assert problems(good.key_pem(), good.pem) == [NOT_A_CERTIFICATE]
    assert problems(good.pem, good.pem) == [NOT_A_KEY]


def test_a_kind_of_key_that_is_not_known(good: Pair) -> None:
    assert problems(ODD_CERTIFICATE, good.key_pem()) == [
        "crt has an unusual kind of key: accepted are RSA and ECDSA keys (P-256, P-384)."
    ]
    assert problems(good.pem, ODD_KEY) == [
        "key is an unusual kind of key: accepted are RSA and ECDSA keys (P-256, P-384)."
    ]


def test_one_without_the_other(good: Pair) -> None:
    assert problems(" \n", good.key_pem()) == ["crt is empty but key is not: give both, or neither to have one made."]
    assert problems(good.pem, "\n") == ["key is empty: accepted is the PEM text of the key that belongs to crt."]


# ---------------------------------------------------------------- names


def test_names_and_addresses_get_their_kind_and_one_spelling() -> None:
    names = ["Lab.Example", "192.0.2.7", "2001:DB8:0:0:0:0:0:1", "host_1", "xn--bcher-kva.example", "1234"]
    assert subject_alt_names(names) == [
        "DNS:lab.example",
        "IP:192.0.2.7",
        "IP:2001:db8::1",
        "DNS:host_1",
        "DNS:xn--bcher-kva.example",
        "DNS:1234",
    ]


def test_each_name_comes_once_in_the_order_given() -> None:
    names = ["b", "127.0.0.1", "B", "a", "::1", "0:0:0:0:0:0:0:1", "127.0.0.1", "b"]
    assert subject_alt_names(names) == ["DNS:b", "IP:127.0.0.1", "DNS:a", "IP:::1"]
    assert subject_alt_names([]) == []


def test_the_interface_of_a_link_local_address_is_left_out() -> None:
    assert subject_alt_names(["fe80::1%eth0", "fe80::1"]) == ["IP:fe80::1"]


def test_labels_and_names_may_be_as_long_as_dns_allows() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert subject_alt_names([longest]) == [f"DNS:{longest}"]


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "lab..example", ".lab.example", "lab.example.", "-lab", "lab-", "lab.-example", "a b"),
        *("lab.example\n", "127.0.0.1\n", "*.lab.example", "bücher.example", "http://lab.example", "lab.example:8888"),
        *("192.0.2.0/24", "[::1]", "192.0.2.300", "192.0.2", "1.2.3.4.5", "1" * 64, "DNS:lab.example", "a/b", "me@lab"),
        ".".join(["a" * 63] * 3 + ["b" * 62]),
    ],
)
def test_what_is_neither_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is neither a host name nor an IP address") as error:
        subject_alt_names(["good.example", name])
    assert str(error.value).startswith(repr(name))


@given(st.lists(st.ip_addresses()))
def test_every_address_is_accepted_in_every_spelling(addresses: list[ipaddress.IPv4Address]) -> None:
    expected = [f"IP:{address}" for address in dict.fromkeys(addresses)]
    assert subject_alt_names([address.exploded.upper() for address in addresses]) == expected


def test_constraints_name_each_address_alone() -> None:
    assert name_constraints(["DNS:lab.example", "IP:192.0.2.7", "IP:2001:db8::1"]) == [
        "DNS:lab.example",
        "IP:192.0.2.7/32",
        "IP:2001:db8::1/128",
    ]


@given(st.lists(st.ip_addresses()))
def test_constraints_permit_one_address_each(addresses: list[ipaddress.IPv4Address]) -> None:
    names = subject_alt_names(str(address) for address in addresses)
    for name, constraint in zip(names, name_constraints(names), strict=True):
        network = ipaddress.ip_network(constraint.removeprefix("IP:"))
        assert network.num_addresses == 1
        assert f"IP:{network.network_address}" == name
