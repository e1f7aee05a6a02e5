# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What a login password must be, and Jupyter's ways to write its hash. Standard library only."""

from __future__ import annotations

import hashlib
import hmac
import re

# jupyter_server.auth.security: "argon2:" before argon2's own encoding (PHC string format).
_ARGON2ID = re.compile(r"argon2:\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}")
# The same module's form for hashlib's algorithms, algorithm:salt:digest; its own salts have 12 hex digits.
_SHA256 = re.compile(r"sha256:[0-9a-f]{12,}:[0-9a-f]{64}")
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


def is_sha256_hash(text: str) -> bool:
    """Whether a text is a salted SHA-256 hash as Jupyter's hashed_password takes it.

    The form is ``sha256:<salt>:<digest>`` (jupyter_server.auth.security.passwd). Of the salts that Jupyter would take,
    only those of 12 or more lower-case hex digits count: it makes no shorter ones itself.
    """
    return bool(_SHA256.fullmatch(text))


def hash_algorithm(text: str) -> str:
    """The algorithm of a hash as Jupyter's hashed_password takes it.

    Returns ``argon2id``, ``sha256``, or an empty text for everything else.
    """
    if is_argon2id_hash(text):
        return "argon2id"
    return "sha256" if is_sha256_hash(text) else ""


def sha256_hash(password: str, salt: str) -> str:
    """A password's SHA-256 hash as Jupyter's hashed_password takes it.

    password: plain text. salt: lower-case hex digits. The digest is SHA-256 of the password in UTF-8 followed by the
    salt in ASCII (jupyter_server.auth.security.passwd). Raises ValueError for what UTF-8 cannot write.
    """
    try:
        secret = password.encode("utf-8")
    except UnicodeEncodeError:
        # Python's own error carries the password.
        raise ValueError("password is not text: it has characters that UTF-8 cannot write") from None
    return f"sha256:{salt}:{hashlib.sha256(secret + salt.encode('ascii')).hexdigest()}"


def sha256_matches(hashed: str, password: str) -> bool:
    """Whether a hash is this password's, as jupyter_server.auth.security.passwd_check finds it, but in constant time.

    hashed: a text that is_sha256_hash knows. Raises ValueError as sha256_hash does.
    """
    salt = hashed.split(":")[1]
    return hmac.compare_digest(sha256_hash(password, salt), hashed)
