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
  - An environment without a lock is kept in place. One that exists already is adopted; only what is declared is
    enforced.
  - An environment with a lock (O(locks)) is exactly what the lock says. Every content is a generation, a prefix of
    its own below C(_generations) in O(envs_dir), built beside the one in use, verified, and put to use by swapping a
    symbolic link. Nobody can change it by accident, files that were damaged are found and repaired, and
    M(pystack.infra.conda_env_rollback) goes back to an earlier one.
  - Bookkeeping lives in C(.pystack) and C(_generations) below O(envs_dir) and does not count as a change.
  - A creation that fails leaves nothing behind, and one that was killed is done again by the next run.
  - conda runs without the personal configuration (C(~/.condarc)) of the user that runs it; C(~/.netrc) counts.
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
          - V(absent) removes the environment with its generations and its kernel, and its line in conda's list.
          - V(exported) changes nothing and returns the environment as files.
        type: str
        choices: [present, absent, exported]
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
          - An environment with a lock follows its lock.
        type: str
        choices: [minimal, latest]
        default: minimal
      prune:
        description:
          - Whether to remove conda packages that no declared package needs, and pip packages and variables
            that were declared before and are no more. C(pip) itself is kept.
          - An environment with a lock never has more than its lock.
        type: bool
        default: false
      imports:
        description:
          - Python modules that a new generation has to be able to import before it is put to use, for example
            V(numpy) or V(scipy.stats).
        type: list
        elements: str
      pip_check:
        description:
          - Whether a new generation has to pass C(pip check) before it is put to use.
        type: bool
        default: true
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
  allowed_channels:
    description:
      - The only channels that declarations and locks may name; names, or URLs, which stand for all channels below
        them as well. Locks have URLs, and a name does not allow a URL that ends with it. Empty allows all channels.
    type: list
    elements: str
    default: []
  locks:
    description:
      - The locks by environment, each a dictionary with C(path) (for messages) and C(text), as
        C(pystack.infra.conda_locks) looks them up.
    type: dict
    default: {}
  lock_mode:
    description:
      - V(prefer) installs an environment from its lock where it has one. V(require) refuses environments without.
      - V(none) keeps all environments in place. One that was a generation becomes an ordinary environment when
        something has to change in it.
    type: str
    choices: [prefer, require, none]
    default: prefer
  engine:
    description:
      - What installs locks. V(rattler) is several times faster and needs O(rattler_dir).
      - Environments without a lock are always solved and installed by conda.
    type: str
    choices: [conda, rattler]
    default: conda
  rattler_dir:
    description:
      - Absolute path of a directory with a virtual environment C(venv) that has py-rattler. Its package cache is
        C(pkgs) beside it.
    type: path
    default: /opt/conda/rattler
  keep_generations:
    description:
      - How many generations of an environment stay, with the one in use. More stay while processes use them.
    type: int
    default: 3
  drift_check:
    description:
      - How every run looks for files of a generation that are gone or were changed. V(fast) compares size and time,
        V(full) compares SHA-256 as well, V(none) does not look.
    type: str
    choices: [fast, full, none]
    default: fast
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
    description: Writes nothing; a lock tells the packages, without one a dry run of conda does.
    support: full
  diff_mode:
    description: Shows generation, packages, pip packages, names of variables and the kernel, before and after.
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

- name: An environment that is the same on all hosts
  pystack.infra.conda_env:
    envs_dir: /opt/conda/envs
    conda_executable: /opt/miniconda/bin/conda
    lock_mode: require
    locks: "{{ lookup('pystack.infra.conda_locks', environments, directory='locks', platform='linux-64') }}"
    environments: "{{ environments }}"
  vars:
    environments:
      - name: research
        python: "3.11"
        packages: [numpy, pandas]
        channels: [conda-forge]
        imports: [pandas]

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
    plan:
      description: What is done, step by step.
      type: list
      elements: str
      sample: [build generation 5f3c0a1b2c3d, switch from 77ab01c4d5e6 to 5f3c0a1b2c3d]
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
    records:
      description: The conda packages as they are now, sorted by name (in check mode as they would be).
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
          description: Its build string.
          type: str
        channel:
          description: URL of the channel that it came from.
          type: str
        subdir:
          description: The channel's folder, a platform or V(noarch).
          type: str
        url:
          description: URL of its file; empty where conda did not say it.
          type: str
        sha256:
          description: SHA-256 of its file; empty where conda did not say it.
          type: str
    channels:
      description: URLs of the channels that the packages came from.
      type: list
      elements: str
    generation:
      description: Id of the generation in use; empty for an environment that is kept in place.
      type: str
      sample: 5f3c0a1b2c3d
    lock:
      description: Path of the lock on the controller; empty without one.
      type: str
      sample: inventories/rhel/locks/research-linux-64.lock
    duration_s:
      description: Seconds spent in each phase (in place solve_and_install, pip, verify; for a generation install,
        pip, verify).
      type: dict
      sample: {pip: 2.1, solve_and_install: 14.2, verify: 0.02}
    environment_yml:
      description: The environment as conda's environment.yml, without builds and without variables.
      returned: for the state V(exported)
      type: str
    explicit:
      description: The conda packages as an explicit list with SHA-256, which C(conda create --file) installs. Empty
        where conda did not say where a package came from.
      returned: for the state V(exported)
      type: str
"""

import copy
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda.apply import apply
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import parse_lock
from ansible_collections.pystack.infra.plugins.module_utils.conda.outcome import ApplyError, Outcome
from ansible_collections.pystack.infra.plugins.module_utils.conda.rattler import Rattler
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import Conda
from ansible_collections.pystack.infra.plugins.module_utils.conda.settings import (
    DRIFT_CHECKS,
    ENGINES,
    LOCK_MODES,
    LockFile,
    Settings,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError, read_declarations

_PATHS = ("envs_dir", "kernels_dir", "conda_executable", "rattler_dir")


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
            "lock_mode": {"type": "str", "choices": list(LOCK_MODES), "default": "prefer"},
            "engine": {"type": "str", "choices": list(ENGINES), "default": "conda"},
            "rattler_dir": {"type": "path", "default": "/opt/conda/rattler"},
            "keep_generations": {"type": "int", "default": 3},
            "drift_check": {"type": "str", "choices": list(DRIFT_CHECKS), "default": "fast"},
            "kernels_dir": {"type": "path", "default": "/usr/local/share/jupyter/kernels"},
            "lock_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
        no_log=True,
    )
    declarations, locks = copy.deepcopy(module.params["environments"]), module.params["locks"]
    hide_values(module.params["environments"])
    module.params["locks"] = sorted(locks)
    try:
        settings = read_settings(module, locks)
        specs = read_declarations(declarations, module.params["channels"], settings.allowed_channels)
        outcomes = apply(settings, specs)
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


def read_settings(module: AnsibleModule, locks: dict[str, Any]) -> Settings:
    """The module's own options; SpecError with all that is wrong with them, LockError for a lock."""
    params = module.params
    problems = [f"{name}: '{params[name]}' is not an absolute path" for name in _PATHS if params[name][:1] != "/"]
    if params["keep_generations"] < 1:
        problems.append(f"keep_generations: {params['keep_generations']} is not a number from 1 on")
    if problems:
        raise SpecError(problems)
    conda = Conda(params["conda_executable"])
    return Settings(
        envs_dir=os.path.normpath(params["envs_dir"]),
        kernels_dir=os.path.normpath(params["kernels_dir"]),
        conda=conda,
        engine=conda if params["engine"] == "conda" else Rattler(os.path.normpath(params["rattler_dir"])),
        check=module.check_mode,
        lock_timeout=params["lock_timeout"],
        locks=read_locks(locks),
        lock_mode=params["lock_mode"],
        keep_generations=params["keep_generations"],
        drift_check=params["drift_check"],
        allowed_channels=tuple(params["allowed_channels"]),
    )


def read_locks(locks: dict[str, Any]) -> dict[str, LockFile]:
    """The option ``locks``; SpecError for another shape, LockError for a lock that cannot be read."""
    found = {}
    for name, value in locks.items():
        if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("path", "text")):
            raise SpecError([f"locks.{name}: a dictionary with path and text is expected"])
        found[name] = LockFile(value["path"], parse_lock(value["text"], value["path"]))
    return found


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
