# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What a password must be, and which hashes are Jupyter's."""

from __future__ import annotations

import hashlib

import argon2
import pytest
from ansible_collections.pystack.infra.plugins.module_utils.passwords import (
    hash_algorithm,
    is_argon2id_hash,
    is_sha256_hash,
    password_problems,
    sha256_hash,
    sha256_matches,
)
from hypothesis import given
from hypothesis import strategies as st

ACCEPTED = "accepted are 12 or more characters, 5 of them different"
GOOD = "correct horse battery staple"
HASH = "argon2:" + argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
PLAIN = HASH.removeprefix("argon2:")
# printf 'correct horse battery staple0123456789abcdef' | sha256sum
SALT = "0123456789abcdef"
SHA256 = "sha256:0123456789abcdef:c0899dc35a177f0d028dc664cfd8f44a3f20717de124bfc8bce5e36c780fb29b"


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", f"v is empty: {ACCEPTED}, or leave it out to have one generated."),
        (" \t ", f"v is empty: {ACCEPTED}, or leave it out to have one generated."),
        ("elevenchars", f"v has 11 characters: {ACCEPTED}."),
        ("abcdabcdabcd", f"v repeats too few different characters: {ACCEPTED}."),
        *(
            (bad, f"v has white space around it or control characters, which a login page loses: {ACCEPTED}.")
            for bad in (GOOD + " ", " " + GOOD, GOOD + "\n", "correct\thorse", "correct\x00horse", GOOD + "\x7f")
        ),
    ],
)
def test_a_bad_password_gets_one_sentence(password: str, problem: str) -> None:
    assert password_problems(password, "v", 12) == [problem]


@pytest.mark.parametrize("password", [GOOD, "abcdeabcdeab", "pässwörter-sind", "quote\"s and 'them", "☃ snow man ☃ 12"])
def test_a_good_password_gets_none(password: str) -> None:
    assert password_problems(password, "v", 12) == []


def test_the_length_is_the_callers() -> None:
    assert password_problems("abcde", "v", 5) == []
    assert password_problems("abcde", "v", 6) == [
        "v has 5 characters: accepted are 6 or more characters, 5 of them different."
    ]


@given(st.text(min_size=3), st.integers(1, 40))
def test_no_sentence_depends_on_what_the_password_says(password: str, length: int) -> None:
    """What a sentence tells is the variable, the length and the rule: every mention of the password is ruled out."""
    cases = {
        "v is empty",
        f"v has {len(password)} characters",
        "v repeats too few different characters",
        "v has white space around it or control characters, which a login page loses",
    }
    problems = password_problems(password, "v", length)
    assert len(problems) <= 1
    assert all(problem.partition(": accepted are ")[0] in cases for problem in problems)


@pytest.mark.parametrize("text", [HASH, "argon2:" + argon2.PasswordHasher().hash("another")])
def test_hashes_of_argon2_cffi_are_known(text: str) -> None:
    assert is_argon2id_hash(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "argon2:",
        "argon2:garbage",
        PLAIN,
        GOOD,
        "$6$salt$hash",
        "sha1:0123456789ab:0123456789012345678901234567890123456789",
        HASH.replace("argon2id", "argon2i"),
        HASH.replace("argon2id", "argon2d"),
        HASH + "\n",
        " " + HASH,
        HASH + "=",
        HASH[:-30],
        HASH.replace("$v=19", ""),
        HASH.replace("m=8", "m=many"),
    ],
)
def test_what_jupyter_would_stumble_over_is_no_hash(text: str) -> None:
    assert not is_argon2id_hash(text)


# ---------------------------------------------------------------- SHA-256


def passwd_check(hashed: str, password: str) -> bool:
    """What jupyter_server.auth.security.passwd_check (2.21) does with a hash that is not argon2's."""
    try:
        algorithm, salt, digest = hashed.split(":", 2)
        state = hashlib.new(algorithm)
    except ValueError:
        return False
    state.update(password.encode("utf-8") + salt.encode("ascii"))
    return bool(digest) and state.hexdigest() == digest


def test_the_check_above_is_jupyters() -> None:
    """The example in the documentation of jupyter_server.auth.security.passwd_check."""
    assert passwd_check("sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a", "mypassword")
    assert not passwd_check("sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a", "otherpassword")


def test_the_digest_is_of_password_and_salt() -> None:
    """Against digests that `sha256sum` gave, not Python."""
    assert sha256_hash(GOOD, SALT) == SHA256
    # printf 'pässwört ☃0123456789abcdef' | sha256sum, in UTF-8
    assert (
        sha256_hash("pässwört ☃", SALT)
        == "sha256:0123456789abcdef:a91974bc5efc05178f97b51d953511d4e9ef468ff7174240460c6e35a9a692eb"
    )


@given(st.text(), st.text("0123456789abcdef", min_size=12), st.text())
def test_a_hash_is_taken_by_jupyter_for_its_password_alone(password: str, salt: str, other: str) -> None:
    hashed = sha256_hash(password, salt)
    assert is_sha256_hash(hashed)
    for candidate in (password, other):
        assert sha256_matches(hashed, candidate) == passwd_check(hashed, candidate) == (candidate == password)


def test_half_a_surrogate_pair_is_no_text() -> None:
    for function in (sha256_hash, lambda password, _salt: sha256_matches(SHA256, password)):
        with pytest.raises(ValueError, match=r"^password is not text: ") as refused:
            function("lone \ud83d", SALT)
        assert "lone" not in str(refused.value)
        assert refused.value.__suppress_context__, "no traceback shows the password"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        f"sha256:{SALT}:",
        f"sha256::{'0' * 64}",
        f"sha256:{SALT[:11]}:{'0' * 64}",
        SHA256.replace("sha256:", "sha1:"),
        SHA256.replace("sha256:", "SHA256:"),
        SHA256.replace(SALT, SALT.upper()),
        SHA256.replace(SALT, "salt-of-a-stranger"),
        SHA256 + "\n",
        SHA256 + "0",
        SHA256[:-1],
        " " + SHA256,
        SHA256.removeprefix("sha256:"),
    ],
)
def test_what_is_no_sha256_hash(text: str) -> None:
    assert not is_sha256_hash(text)


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (HASH, "argon2id"),
        (SHA256, "sha256"),
        (HASH.replace("argon2id", "argon2i"), ""),
        (PLAIN, ""),
        (GOOD, ""),
        ("", ""),
    ],
)
def test_the_algorithm_of_a_hash(text: str, algorithm: str) -> None:
    assert hash_algorithm(text) == algorithm
