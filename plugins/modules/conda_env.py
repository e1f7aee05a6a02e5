#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: conda environments that are exactly as declared."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conda_env
short_description: Manage conda environments
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Creates, updates and removes conda environments with their conda packages, pip packages, variables and
    Jupyter kernels.
  - Compares the declaration with the files of the environment. A converged environment costs no conda process
    and no pip process, except under O(environments[].update=latest).
  - Checks all environments before it changes the first one, and lets only one run at a time change those
    below O(envs_dir).
  - An environment that exists already is adopted; only what is declared is enforced. Bookkeeping lives in
    C(.pystack) below O(envs_dir) and does not count as a change.
  - A creation that fails leaves nothing behind, and one that was killed is done again by the next run.
requirements:
  - python >= 3.9
  - conda
options:
  environments:
    description:
      - The environments. An environment that is not named here is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the environment, of its directory below O(envs_dir) and of its Jupyter kernel.
          - Letters, digits, C(.), C(_) and C(-). V(base) and V(root) are refused.
        type: str
        required: true
      state:
        description:
          - V(absent) removes the environment with its kernel, and its line in conda's list of environments.
        type: str
        choices: [present, absent]
        default: present
      python:
        description:
          - Version of Python, for example V(3.11) (any 3.11) or V(>=3.11,<3.13).
          - Has to be quoted, since V(3.10) would be the number 3.1.
        type: str
      packages:
        description:
          - Package specifications as conda understands them, for example V(numpy), V(numpy=1.26),
            V(numpy>=1.26,<3) or V(conda-forge::numpy).
        type: list
        elements: str
      channels:
        description:
          - Channels for this environment in place of O(channels). An empty list means conda's own
            configuration.
        type: list
        elements: str
      pip:
        description:
          - Requirements that pip installs, for example V(foo>=1.2) or V(foo @ https://example.com/foo.whl).
            Options, markers and credentials are refused.
          - Python and pip are added to the packages when this is not empty.
        type: list
        elements: str
      variables:
        description:
          - Variables that are set while the environment is active, and in its Jupyter kernel. The values are
            never shown, but like conda this module stores them in files that everybody on the host can read.
        type: dict
      jupyter_kernel:
        description:
          - Whether Jupyter offers the environment as a kernel; a string is the name that Jupyter displays.
          - Needs the package C(ipykernel).
        type: raw
        default: false
      update:
        description:
          - V(minimal) asks conda only when a declared package is missing or has another version.
          - V(latest) asks conda in every run for the newest packages within the declared constraints.
        type: str
        choices: [minimal, latest]
        default: minimal
      prune:
        description:
          - Whether to remove conda packages that no declared package needs, and pip packages and variables
            that were declared before and are no more. C(pip) itself is kept.
        type: bool
        default: false
  envs_dir:
    description:
      - Absolute path of the directory of the environments. It is created when it is missing.
    type: path
    required: true
  conda_executable:
    description:
      - The C(conda) command. In check mode it may be missing; packages are then shown as they are declared.
    type: path
    required: true
  channels:
    description:
      - Channels for the environments that have none of their own. With channels given conda is told to
        use no others; without, conda's own configuration decides.
      - C(nodefaults) is dropped. Credentials in a URL are refused, since conda copies them into many files.
    type: list
    elements: str
    default: []
  kernels_dir:
    description:
      - Absolute path of the directory of Jupyter's kernels.
    type: path
    default: /usr/local/share/jupyter/kernels
  lock_timeout:
    description:
      - Seconds to wait for another run on the same O(envs_dir).
    type: int
    default: 600
attributes:
  check_mode:
    description: Writes nothing and predicts the packages with a dry run of conda.
    support: full
  diff_mode:
    description: Shows packages, pip packages, names of variables and the kernel, before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: An environment with a Jupyter kernel
  pystack.infra.conda_env:
    envs_dir: /opt/conda-envs
    conda_executable: /opt/miniconda/bin/conda
    channels: [conda-forge]
    environments:
      - name: analysis
        python: "3.11"
        packages: [ipykernel, "numpy>=1.26,<3", pandas]
        pip: [yfinance]
        variables:
          OMP_NUM_THREADS: "4"
        jupyter_kernel: Analysis (Python 3.11)
        prune: true

- name: Remove an environment
  pystack.infra.conda_env:
    envs_dir: /opt/conda-envs
    conda_executable: /opt/miniconda/bin/conda
    environments:
      - name: old
        state: absent
"""

RETURN = r"""
environments:
  description: One entry for each declared environment, in their order.
  returned: always
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
    action:
      description: What was done, or in check mode would be (none, create, update, remove, rebuild).
      type: str
      sample: update
    changed:
      description: Whether the environment changed.
      type: bool
    resolved:
      description: False in check mode where conda is not installed yet and could not be asked.
      type: bool
    reasons:
      description: Why something was done.
      type: list
      elements: str
      sample: [pandas is missing]
    added:
      description: Conda packages (name, version, build) that are new.
      type: list
      elements: str
      sample: [pandas 2.2.3 py311h7db5c69_1]
    removed:
      description: Conda packages (name, version, build) that are gone.
      type: list
      elements: str
    updated:
      description: Conda packages (name, version, build) that were replaced, as they are now.
      type: list
      elements: str
    pip:
      description: The same for pip packages (name, version). Check mode cannot tell them.
      type: dict
      contains:
        added:
          description: Packages that are new.
          type: list
          elements: str
        removed:
          description: Packages that are gone.
          type: list
          elements: str
        updated:
          description: Packages that were replaced, as they are now.
          type: list
          elements: str
    duration_s:
      description: Seconds spent in each phase (solve_and_install, pip, verify).
      type: dict
      sample: {pip: 2.1, solve_and_install: 14.2, verify: 0.02}
"""

import copy
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda.apply import (
    ApplyError,
    Outcome,
    Settings,
    apply,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import Conda
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError, read_declarations


def main() -> None:
    os.umask(0o022)
    # no_log keeps the arguments, with the variables' values, out of the system's log.
    module = AnsibleModule(
        argument_spec={
            "environments": {"type": "list", "elements": "dict", "required": True},
            "envs_dir": {"type": "path", "required": True},
            "conda_executable": {"type": "path", "required": True},
            "channels": {"type": "list", "elements": "str", "default": []},
            "kernels_dir": {"type": "path", "default": "/usr/local/share/jupyter/kernels"},
            "lock_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
        no_log=True,
    )
    declarations = copy.deepcopy(module.params["environments"])
    hide_values(module.params["environments"])
    try:
        outcomes = apply(read_settings(module), read_declarations(declarations, module.params["channels"]))
    except ApplyError as error:
        module.fail_json(msg=str(error), **results(error.outcomes), **error.details)
    except (SpecError, TimeoutError, ValueError, OSError) as error:
        module.fail_json(msg=str(error), **results([]))
    module.exit_json(**results(outcomes), **message(outcomes))


def hide_values(declarations: list[dict[str, Any]]) -> None:
    """Hide the variables' values where Ansible repeats the arguments in its result."""
    for declaration in declarations:
        variables = declaration.get("variables")
        if isinstance(variables, dict):
            declaration["variables"] = dict.fromkeys(variables, "VALUE_HIDDEN")


def read_settings(module: AnsibleModule) -> Settings:
    """The module's own options; SpecError for a path that depends on the current directory."""
    params = module.params
    paths = ("envs_dir", "kernels_dir", "conda_executable")
    problems = [f"{name}: '{params[name]}' is not an absolute path" for name in paths if params[name][:1] != "/"]
    if problems:
        raise SpecError(problems)
    return Settings(
        envs_dir=os.path.normpath(params["envs_dir"]),
        kernels_dir=os.path.normpath(params["kernels_dir"]),
        conda=Conda(params["conda_executable"]),
        check=module.check_mode,
        lock_timeout=params["lock_timeout"],
    )


def results(outcomes: list[Outcome]) -> dict[str, Any]:
    """The module's result for the environments that were looked at."""
    return {
        "changed": any(outcome.changed for outcome in outcomes),
        "environments": [outcome.result() for outcome in outcomes],
        "diff": [outcome.ansible_diff() for outcome in outcomes if outcome.changed],
    }


def message(outcomes: list[Outcome]) -> dict[str, str]:
    """A hint for check mode on a host that has no conda yet."""
    names = ", ".join(outcome.name for outcome in outcomes if not outcome.resolved)
    return {"msg": f"conda is not installed yet, so the packages of {names} are not resolved"} if names else {}


if __name__ == "__main__":
    main()
