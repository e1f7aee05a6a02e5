#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: locked conda environments as they were before."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conda_env_rollback
short_description: Go back to an earlier generation of locked conda environments
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Lets environments that M(pystack.infra.conda_env) installed from a lock use an earlier generation. A symbolic link
    is swapped and the Jupyter kernel follows; nothing is downloaded or built, and processes that run go on.
  - It lasts until conda_env runs with the newer lock again, so undo the change of the lock as well.
  - All environments are looked at before the first one changes.
requirements:
  - python >= 3.9
options:
  envs_dir:
    description:
      - Absolute path of the directory of the environments.
    type: path
    required: true
  names:
    description:
      - The environments. Without names all that have an earlier generation.
    type: list
    elements: str
    default: []
  generation:
    description:
      - Id of a generation, or V(previous) for the one that was in use before the present one. An id needs exactly
        one name.
    type: str
    default: previous
  kernels_dir:
    description:
      - Absolute path of the directory of Jupyter's kernels.
    type: path
    default: /usr/local/share/jupyter/kernels
  lock_timeout:
    description:
      - Seconds to wait for another run on the same O(envs_dir).
    type: int
    default: 60
attributes:
  check_mode:
    description: Shows what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows the packages before and after.
    support: full
  idempotent:
    description: With an id a second run changes nothing; V(previous) goes one step back in every run.
    support: partial
"""

EXAMPLES = r"""
- name: Undo the last change of one environment
  pystack.infra.conda_env_rollback:
    envs_dir: /opt/conda/envs
    names: [research]

- name: Go back to a generation, as conda_env_info lists them
  pystack.infra.conda_env_rollback:
    envs_dir: /opt/conda/envs
    names: [research]
    generation: 5f3c0a1b2c3d
"""

RETURN = r"""
msg:
  description: What was done, in words.
  returned: always
  type: str
  sample: "research: 5f3c0a1b2c3d in the place of 77ab01c4d5e6"
environments:
  description: One entry for each environment.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the environment.
      type: str
    prefix:
      description: Its path, which stays the same.
      type: str
    changed:
      description: Whether another generation is in use now.
      type: bool
    from:
      description: Id of the generation that was in use.
      type: str
      sample: 77ab01c4d5e6
    to:
      description: Id of the generation that is in use.
      type: str
      sample: 5f3c0a1b2c3d
    added:
      description: Conda packages (name, version, build) that came.
      type: list
      elements: str
    removed:
      description: Conda packages (name, version, build) that went.
      type: list
      elements: str
    updated:
      description: Conda packages (name, version, build) that were replaced, as they are now.
      type: list
      elements: str
"""

import os
from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda import state
from ansible_collections.pystack.infra.plugins.module_utils.conda.files import lock
from ansible_collections.pystack.infra.plugins.module_utils.conda.rollback import (
    PREVIOUS,
    can_go_back,
    locked_environments,
    plan_rollback,
)


def main() -> None:
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "envs_dir": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "generation": {"type": "str", "default": PREVIOUS},
            "kernels_dir": {"type": "path", "default": "/usr/local/share/jupyter/kernels"},
            "lock_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    envs_dir, kernels_dir = module.params["envs_dir"], module.params["kernels_dir"]
    names, wanted = module.params["names"], module.params["generation"]
    if wanted != PREVIOUS and len(names) != 1:
        module.fail_json(msg=f"generation: '{wanted}' belongs to one environment; give exactly one name in names")
    if not names:
        names = [name for name in locked_environments(envs_dir) if can_go_back(envs_dir, name)]
        if not names:
            module.fail_json(msg=f"names: no environment below {envs_dir} has an earlier generation to go back to")
    path = os.path.join(state.directory(envs_dir), "lock")
    try:
        with nullcontext() if module.check_mode else lock(path, module.params["lock_timeout"]):
            steps = [plan_rollback(envs_dir, name, wanted) for name in names]
            results = [step.result(kernels_dir) for step in steps]
            if not module.check_mode:
                for step in steps:
                    step.carry_out(kernels_dir)
    except (ValueError, TimeoutError, OSError) as error:
        module.fail_json(msg=str(error))
    diffs = [result.pop("diff") for result in results]
    told = [f"{row['name']}: {row['to']} in the place of {row['from']}" for row in results if row["changed"]]
    module.exit_json(changed=bool(told), environments=results, diff=diffs, msg="; ".join(told) or "nothing to change")


if __name__ == "__main__":
    main()
