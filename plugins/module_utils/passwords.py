# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What a login password must be, and Jupyter's way to write its hash. Standard library only."""

from __future__ import annotations

import re

# jupyter_server.auth.security: "argon2:" before argon2's own encoding (PHC string format).
_ARGON2ID = re.compile(r"argon2:\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}")
_DISTINCT_CHARACTERS = 5


def password_problems(password: str, variable: str, min_length: int) -> list[str]:
    """Sentences that say why a password is refused; empty when it is good. They never quote the password.

    password: plain text. variable: its name, for the sentences. min_length: in characters.
    """
    accepted = f"accepted are {min_length} or more characters, {_DISTINCT_CHARACTERS} of them different"
    if not password.strip():
        return [f"{variable} is empty: {accepted}, or leave it out to have one generated."]
    if len(password) < min_length:
        return [f"{variable} has {len(password)} characters: {accepted}."]
    if len(set(password)) < _DISTINCT_CHARACTERS:
        return [f"{variable} repeats too few different characters: {accepted}."]
    if password != password.strip() or any(ord(c) < 32 or ord(c) == 127 for c in password):
        return [f"{variable} has white space around it or control characters, which a login page loses: {accepted}."]
    return []


def is_argon2id_hash(text: str) -> bool:
    """Whether a text is an argon2id hash as Jupyter's hashed_password takes it.

    Anything else that starts with ``argon2:`` makes the login fail with HTTP 500, without an error at start.
    """
    return bool(_ARGON2ID.fullmatch(text))
