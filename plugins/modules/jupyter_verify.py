#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: prove from the host itself that a Jupyter server serves whom it should, and nobody else."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jupyter_verify
short_description: Prove that a Jupyter server is up and closed to strangers
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Waits until the server answers over https with exactly the certificate on disk, then checks that a login with the
    password works, that a wrong password and no password do not, and that neither plain http nor TLS 1.1 is spoken.
  - Changes nothing. Fails with one sentence for each check that does not hold.
options:
  address:
    description: IP address to connect to.
    type: str
    default: 127.0.0.1
  port:
    description: TCP port.
    type: int
    default: 8888
  base_url:
    description: Path that everything is served below, with slashes around it.
    type: str
    default: /
  certificate:
    description: PEM file with the server's certificate. It is the one certificate that is trusted.
    type: path
    required: true
  password:
    description: The password. Without it the login is not tried.
    type: str
  kernels:
    description: Names of kernels that must be offered (needs O(password)).
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds until the server must answer.
    type: int
    default: 60
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing.
    support: N/A
"""

EXAMPLES = r"""
- name: Log in over https
  pystack.infra.jupyter_verify:
    certificate: /etc/jupyter/server/server.pem
    password: "{{ vault_jupyter_password }}"
    kernels: [py4fi]
"""

RETURN = r"""
version:
  description: Version of Jupyter Server.
  returned: success
  type: str
  sample: 2.21.1
checks:
  description: What was checked, in order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What was checked.
      type: str
    ok:
      description: Whether it holds.
      type: bool
    found:
      description: What was found.
      type: str
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import Server, verify


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 8888},
            "base_url": {"type": "str", "default": "/"},
            "certificate": {"type": "path", "required": True},
            "password": {"type": "str", "no_log": True},
            "kernels": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params
    host = f"[{given['address']}]" if ":" in given["address"] else given["address"]
    url = f"https://{host}:{given['port']}{given['base_url']}"
    try:
        server = Server(given["address"], given["port"], given["base_url"], given["certificate"])
        version, checks = verify(server, given["password"], given["kernels"], given["timeout"])
    except OSError as error:
        module.fail_json(msg=f"{url} does not serve: {error}", checks=[])
    rows = [dataclasses.asdict(check) for check in checks]
    broken = [f"it does not hold that {check.name} ({check.found})" for check in checks if not check.ok]
    if broken:
        module.fail_json(msg=f"{url} is up, but " + "; ".join(broken), checks=rows)
    module.exit_json(changed=False, version=version, checks=rows)


if __name__ == "__main__":
    main()
