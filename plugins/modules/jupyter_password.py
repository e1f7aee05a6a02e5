#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: the password of a Jupyter server, as an argon2id hash in a file of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jupyter_password
short_description: Set the password of a Jupyter server
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Writes a Jupyter configuration file that holds the password's argon2id hash and nothing else.
  - A password that is set already is recognised by verifying it, so that its hash, and with it every
    login session, stays as it is.
options:
  path:
    description: The configuration file, usually C(jupyter_config.json) in a directory on C(JUPYTER_CONFIG_PATH).
    type: path
    required: true
  password:
    description: The password in plain text. It may be left out in check mode only.
    type: str
  python:
    description: A Python on the target that has C(argon2-cffi), such as that of the server's environment.
    type: path
    required: true
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
import subprocess
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.passwords import is_argon2id_hash

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


def current_hash(path: str) -> str:
    """The hash in a configuration file; empty when there is no such file or nothing usable in it."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)["PasswordIdentityProvider"]["hashed_password"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and is_argon2id_hash(found) else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "password": {"type": "str", "no_log": True},
            "python": {"type": "path", "required": True},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    path, password, python = module.params["path"], module.params["password"], module.params["python"]
    attributes = module.load_file_common_arguments(module.params)
    if password is None and not module.check_mode:
        module.fail_json(msg="password is missing: it may be left out in check mode only")
    try:
        old, reason = current_hash(path), ""
        if not old:
            reason = "no password is set"
        elif password is None:
            reason = "a password would be generated"
        elif not argon2(python, password, old):
            reason = "the password is another one"
        if reason and not module.check_mode:
            content = {"PasswordIdentityProvider": {"hashed_password": argon2(python, password)}}
            descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2) + "\n")
            # Ownership first: the file must never be readable by more than it should.
            module.set_fs_attributes_if_different({**attributes, "path": temporary}, False)
            module.atomic_move(temporary, path)
    except (OSError, RuntimeError) as error:
        module.fail_json(msg=str(error))
    changed = bool(reason)
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(attributes, changed)
    module.exit_json(changed=changed, reason=reason)


if __name__ == "__main__":
    main()
