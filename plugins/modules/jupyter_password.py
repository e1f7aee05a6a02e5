#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: the password of a Jupyter server, as a hash in a file of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jupyter_password
short_description: Set the password of a Jupyter server
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Writes a Jupyter configuration file that holds the password's hash and nothing else.
  - A password that is set already is recognised by verifying it, so that its hash, and with it every
    login session, stays as it is. A hash of another algorithm than O(algorithm) is replaced.
  - Owner, group and mode are set before the file gets its name. Those that are not given stay as they are; a new
    file is for its owner alone.
options:
  path:
    description: The configuration file, usually C(jupyter_config.json) in a directory on C(JUPYTER_CONFIG_PATH).
    type: path
    required: true
  password:
    description: The password in plain text, never empty. It may be left out in check mode only.
    type: str
  algorithm:
    description:
      - How the password is hashed. V(argon2id) makes every guess cost time and memory, also to those who have got
        hold of the file.
      - V(sha256) is for hosts whose policy demands FIPS-approved algorithms, which argon2 is not, and for no others.
        It is a single round with a salt, so whoever has got hold of the file can try guesses as fast as hardware goes.
        Use a generated password of 20 or more characters with it. It needs nothing but the target's own Python.
    type: str
    choices: [argon2id, sha256]
    default: argon2id
  python:
    description:
      - A Python on the target that has C(argon2-cffi), such as that of the server's environment.
      - Required by O(algorithm=argon2id), not used by O(algorithm=sha256).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and says truthfully whether the file would change.
    support: full
  diff_mode:
    description: Shows nothing, since the file holds a secret.
    support: none
extends_documentation_fragment:
  - ansible.builtin.files
"""

EXAMPLES = r"""
- name: Set the password
  pystack.infra.jupyter_password:
    path: /etc/jupyter/server/jupyter_config.json
    password: "{{ vault_jupyter_password }}"
    python: /opt/conda/envs/py4fi/bin/python
    owner: root
    group: jupyter
    mode: "0640"

- name: Set the password where policy demands FIPS-approved algorithms
  pystack.infra.jupyter_password:
    path: /etc/jupyter/server/jupyter_config.json
    password: "{{ vault_jupyter_password }}"
    algorithm: sha256
    owner: root
    group: jupyter
    mode: "0640"
"""

RETURN = r"""
reason:
  description: Why the file was written; empty when it was not.
  returned: always
  type: str
  sample: the password is another one
"""

import json
import os
import secrets
import stat
import subprocess
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.passwords import (
    hash_algorithm,
    sha256_hash,
    sha256_matches,
)

# 32 hex digits; Jupyter's own salts have 12.
_SALT_BYTES = 16
# Runs in the server's environment. The password arrives on stdin: arguments are for everybody to see.
_ARGON2 = """
import json, sys
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash
given = json.load(sys.stdin)
hasher = PasswordHasher()
if given["hash"]:
    try:
        answer = hasher.verify(given["hash"].removeprefix("argon2:"), given["password"])
    except (Argon2Error, InvalidHash):
        answer = False
else:
    answer = "argon2:" + hasher.hash(given["password"])
json.dump(answer, sys.stdout)
"""


def argon2(python: str, password: str, existing: str = "") -> Any:
    """Whether an existing hash is this password's (bool), or without one a new hash (str).

    Raises RuntimeError when that Python cannot do it.
    """
    done = subprocess.run(
        [python, "-I", "-c", _ARGON2],
        input=json.dumps({"password": password, "hash": existing}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{python} cannot make an argon2 hash (is argon2-cffi in that environment?): {done.stderr.strip()[-300:]}"
        )
    return json.loads(done.stdout)


def matches(hashed: str, password: str, python: str | None) -> bool:
    """Whether a hash that Jupyter takes is this password's.

    Raises RuntimeError when the target cannot tell, and ValueError for a password that is no text.
    """
    if hash_algorithm(hashed) == "sha256":
        return sha256_matches(hashed, password)
    return bool(argon2(str(python), password, hashed))


def new_hash(algorithm: str, password: str, python: str | None) -> str:
    """A new hash of a password by one of the module's algorithms.

    Raises RuntimeError when the target cannot make it, and ValueError for a password that is no text.
    """
    if algorithm == "sha256":
        return sha256_hash(password, secrets.token_hex(_SALT_BYTES))
    return str(argon2(str(python), password))


def settings_for(hashed: str) -> dict[str, dict[str, str]]:
    """All that the configuration file holds."""
    return {"PasswordIdentityProvider": {"hashed_password": hashed}}


def current(path: str) -> tuple[str, bool]:
    """The hash in a configuration file, empty when there is nothing usable, and whether there is nothing else."""
    try:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        found = settings["PasswordIdentityProvider"]["hashed_password"]
    except (OSError, ValueError, KeyError, TypeError):
        return "", False
    usable = isinstance(found, str) and hash_algorithm(found)
    return (found, settings == settings_for(found)) if usable else ("", False)


def write(module: AnsibleModule, path: str, text: str, attributes: dict[str, Any]) -> None:
    """Replace the file by one rename; at no instant can anybody read it who is not meant to.

    AnsibleModule.atomic_move would take over an old file's mode first, and give a new one what the umask allows.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            old = os.stat(path)
            keep_owner, keep_group = attributes["owner"] is None, attributes["group"] is None
            os.chown(temporary, old.st_uid if keep_owner else -1, old.st_gid if keep_group else -1)
            if attributes["mode"] is None:
                os.chmod(temporary, stat.S_IMODE(old.st_mode))
        # Flags such as immutable are for the file in its place.
        module.set_fs_attributes_if_different({**attributes, "path": temporary, "attributes": None}, False)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "password": {"type": "str", "no_log": True},
            "algorithm": {"type": "str", "choices": ["argon2id", "sha256"], "default": "argon2id"},
            "python": {"type": "path"},
        },
        required_if=[("algorithm", "argon2id", ["python"])],
        add_file_common_args=True,
        supports_check_mode=True,
    )
    path, password = module.params["path"], module.params["password"]
    algorithm, python = module.params["algorithm"], module.params["python"]
    attributes = module.load_file_common_arguments(module.params)
    if password is None and not module.check_mode:
        module.fail_json(msg="password is missing: it may be left out in check mode only")
    if password is not None and not password.strip():
        module.fail_json(msg="password is empty: it would let everybody in")
    try:
        (old, alone), reason = current(path), ""
        if not old:
            reason = "no password is set"
        elif password is None:
            reason = "a password would be generated"
        elif hash_algorithm(old) != algorithm:
            old, reason = "", f"the hash is {hash_algorithm(old)}, not {algorithm}"
        elif not matches(old, password, python):
            old, reason = "", "the password is another one"
        elif not alone:
            reason = "the file holds more than the password"
        if reason and not module.check_mode:
            settings = settings_for(old or new_hash(algorithm, password, python))
            write(module, path, json.dumps(settings, indent=2) + "\n", attributes)
    except (OSError, RuntimeError, ValueError) as error:
        module.fail_json(msg=str(error))
    changed = bool(reason)
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(attributes, changed)
    module.exit_json(changed=changed, reason=reason)


if __name__ == "__main__":
    main()
