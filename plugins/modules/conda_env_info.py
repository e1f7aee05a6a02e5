#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: what conda environments there are."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conda_env_info
short_description: Tell what is in conda environments
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Reads environments from their files. No conda process is started, and nothing is changed.
  - Tells packages, generations and whether a process is using one. Can compare every file with what its package
    brought.
requirements:
  - python >= 3.9
options:
  envs_dir:
    description:
      - Absolute path of the directory of the environments. Where it is missing there are none.
    type: path
    required: true
  names:
    description:
      - The environments to look at. Without names all below O(envs_dir), but for directories that begin with C(.)
        or C(_).
      - A name without an environment is a failure.
    type: list
    elements: str
  packages:
    description:
      - Whether to return the lists of packages.
    type: bool
    default: true
  verify:
    description:
      - V(files) compares every file of the conda packages with their lists, which reads all of them.
    type: str
    choices: [none, files]
    default: none
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look at all environments
  pystack.infra.conda_env_info:
    envs_dir: /opt/conda-envs
  register: found

- name: Show them
  ansible.builtin.debug:
    msg: "{{ found.table }}"

- name: Look for damaged files
  pystack.infra.conda_env_info:
    envs_dir: /opt/conda-envs
    names: [analysis]
    packages: false
    verify: files
"""

RETURN = r"""
environments:
  description: One entry for each environment, by name or in the order of O(names).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the environment.
      type: str
      sample: analysis
    prefix:
      description: Its directory.
      type: str
      sample: /opt/conda-envs/analysis
    python:
      description: Version of Python, empty without one.
      type: str
      sample: 3.11.8
    channels:
      description: URLs of the channels that the packages are from.
      type: list
      elements: str
      sample: [https://conda.anaconda.org/conda-forge]
    frozen:
      description: Whether conda refuses to change it.
      type: bool
    generation:
      description: Id of the generation in use, empty for an environment that is kept in place.
      type: str
      sample: 5f3c0a1b2c3d
    generations:
      description: All generations in the order in which they were made.
      type: list
      elements: dict
      contains:
        id:
          description: Its id.
          type: str
        current:
          description: Whether the environment's path names it.
          type: bool
        complete:
          description: Whether it was completed and can be used.
          type: bool
        in_use:
          description: Whether a process runs from it, works in it or has mapped a file of it.
          type: bool
    packages:
      description: Conda packages by name.
      returned: with O(packages)
      type: list
      elements: dict
      contains:
        name:
          description: Name of the package.
          type: str
        version:
          description: Its version.
          type: str
        build:
          description: Its build.
          type: str
        channel:
          description: URL of its channel, without the platform.
          type: str
        subdir:
          description: Its platform.
          type: str
        url:
          description: Where it is from.
          type: str
        sha256:
          description: Checksum of its archive.
          type: str
    pip:
      description: What pip installed, by name.
      returned: with O(packages)
      type: list
      elements: dict
      contains:
        name:
          description: Name of the distribution.
          type: str
        version:
          description: Its version.
          type: str
    variables:
      description: Names of the variables that are set while the environment is active.
      type: list
      elements: str
    faults:
      description: Files that are missing or changed, each with its package.
      returned: when O(verify=files)
      type: list
      elements: str
      sample: ["lib/python3.11/site-packages/six.py is changed (six)"]
table:
  description:
    - The same for people to read, with a head.
    - C(packages), C(pip) and C(others), the generations that are not in use, are numbers.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda.info import read_environments, table


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "envs_dir": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str"},
            "packages": {"type": "bool", "default": True},
            "verify": {"type": "str", "choices": ["none", "files"], "default": "none"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not given["envs_dir"].startswith("/"):
        module.fail_json(msg=f"envs_dir: '{given['envs_dir']}' is not an absolute path")
    try:
        found = read_environments(
            os.path.normpath(given["envs_dir"]), given["names"], verify=given["verify"] == "files"
        )
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    results = [environment.result(given["packages"]) for environment in found]
    module.exit_json(changed=False, environments=results, table=table(found))


if __name__ == "__main__":
    main()
