# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What a password must be, and which hashes are Jupyter's."""

from __future__ import annotations

import argon2
import pytest
from ansible_collections.pystack.infra.plugins.module_utils.passwords import is_argon2id_hash, password_problems
from hypothesis import given
from hypothesis import strategies as st

ACCEPTED = "accepted are 12 or more characters, 5 of them different"
GOOD = "correct horse battery staple"
HASH = "argon2:" + argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
PLAIN = HASH.removeprefix("argon2:")


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
