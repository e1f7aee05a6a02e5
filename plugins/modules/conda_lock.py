#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: locks of conda environments."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conda_lock
short_description: Solve conda environments and return their locks
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Solves declared environments for the platform of the host and returns each as an explicit list of packages with
    their SHA-256, and of pip packages with hashes. M(pystack.infra.conda_env) installs exactly that on every host of
    the platform.
  - An environment whose lock was made for the same declaration is not solved again, unless O(update) asks for it.
  - Each environment is made once in scratch space below O(envs_dir) and removed again, so that what conda and pip
    choose is known to be installable; in check mode, too, so that C(--check --diff) shows what a new lock would change.
    The environments of the host are left alone.
requirements:
  - python >= 3.9
  - conda
options:
  environments:
    description:
      - The environments, as M(pystack.infra.conda_env) takes them. Those with another state than V(present) are
        passed over.
    type: list
    elements: dict
    required: true
  envs_dir:
    description:
      - Absolute path of the directory of the environments, for scratch space on the same file system.
    type: path
    required: true
  conda_executable:
    description:
      - The C(conda) command.
    type: path
    required: true
  channels:
    description:
      - Channels for the environments that have none of their own.
    type: list
    elements: str
    default: []
  allowed_channels:
    description:
      - The only channels that packages may come from, names or URLs. Empty allows all.
    type: list
    elements: str
    default: []
  locks:
    description:
      - The present locks by environment, each with C(path) and C(text).
    type: dict
    default: {}
  update:
    description:
      - Whether to solve environments anew whose lock was made for the same declaration.
    type: bool
    default: false
  lock_timeout:
    description:
      - Seconds to wait for another run on the same O(envs_dir).
    type: int
    default: 600
attributes:
  check_mode:
    description: Nothing is changed in either mode.
    support: full
  diff_mode:
    description: The task that writes the locks shows their differences.
    support: none
  idempotent:
    description: A lock that fits its declaration is returned as it is.
    support: full
"""

EXAMPLES = r"""
- name: Solve
  pystack.infra.conda_lock:
    environments:
      - name: research
        python: "3.11"
        packages: ["numpy>=2", pandas]
    channels: [conda-forge]
    envs_dir: /opt/conda/envs
    conda_executable: /opt/miniconda3/bin/conda
  register: solved

- name: Keep the locks on the controller
  ansible.builtin.copy:
    content: "{{ item.text }}"
    dest: "locks/{{ item.file }}"
    mode: "0644"
  loop: "{{ solved.locks }}"
  delegate_to: localhost
"""

RETURN = r"""
platform:
  description: The platform that was solved for.
  returned: success
  type: str
  sample: linux-64
locks:
  description: One entry for each environment with the state V(present), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the environment.
      type: str
    file:
      description: Name of the lock's file.
      type: str
      sample: research-linux-64.lock
    text:
      description: The lock.
      type: str
    solved:
      description: Whether it was solved now.
      type: bool
    packages:
      description: Number of conda packages.
      type: int
    pip:
      description: Number of pip packages.
      type: int
    channels:
      description: URLs of the channels that the packages come from.
      type: list
      elements: str
"""

import os
import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda import state
from ansible_collections.pystack.infra.plugins.module_utils.conda.files import lock as exclusive
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import Lock, parse_lock, platform_of
from ansible_collections.pystack.infra.plugins.module_utils.conda.locking import make_lock
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import Conda, RunError
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import (
    EnvironmentSpec,
    read_declarations,
)


def main() -> None:
    os.umask(0o022)
    # no_log keeps the arguments, with the variables' values, out of the system's log.
    module = AnsibleModule(
        argument_spec={
            "environments": {"type": "list", "elements": "dict", "required": True},
            "envs_dir": {"type": "path", "required": True},
            "conda_executable": {"type": "path", "required": True},
            "channels": {"type": "list", "elements": "str", "default": []},
            "allowed_channels": {"type": "list", "elements": "str", "default": []},
            "locks": {"type": "dict", "default": {}},
            "update": {"type": "bool", "default": False},
            "lock_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
        no_log=True,
    )
    declarations = module.params["environments"]
    # Ansible repeats the arguments in its result: neither variables' values nor whole locks belong there.
    module.params["environments"] = [str(declaration.get("name")) for declaration in declarations]
    known, module.params["locks"] = module.params["locks"], sorted(module.params["locks"])
    current = ""
    try:
        here = platform_of(platform.machine())
        specs = read_declarations(declarations, module.params["channels"], module.params["allowed_channels"])
        kept = {name: parse_lock(found["text"], found["path"]) for name, found in known.items()}
        results = []
        for spec in (spec for spec in specs if spec.present):
            current = f"{spec.name}: "
            results.append(bring_up_to_date(module, spec, kept.get(spec.name)))
    except RunError as error:
        module.fail_json(msg=f"{current}{error}", **error.details)
    except (ValueError, TimeoutError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, platform=here, locks=results)


def bring_up_to_date(module: AnsibleModule, spec: EnvironmentSpec, kept: Lock | None) -> dict[str, Any]:
    """The entry of one environment; it is solved unless its lock fits."""
    params = module.params
    fits = kept is not None and kept.declaration == spec.lock_digest()
    if kept is not None and fits and not params["update"]:
        return entry(spec, kept, solved=False)
    with exclusive(os.path.join(state.directory(params["envs_dir"]), "lock"), params["lock_timeout"]) as handle:
        conda = Conda(params["conda_executable"], keep_open=(handle,))
        made = make_lock(conda, params["envs_dir"], spec, tuple(params["allowed_channels"]))
    return entry(spec, made, solved=True)


def entry(spec: EnvironmentSpec, lock: Lock, *, solved: bool) -> dict[str, Any]:
    """A lock as the module returns it."""
    return {
        "name": spec.name,
        "file": f"{spec.name}-{lock.platform}.lock",
        "text": lock.text(),
        "solved": solved,
        "packages": len(lock.packages),
        "pip": len(lock.pip),
        "channels": list(lock.channels()),
    }


if __name__ == "__main__":
    main()
