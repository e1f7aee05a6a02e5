# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible lookup: the locks of declared conda environments."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: conda_locks
short_description: Read the locks of declared conda environments
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Finds the lock of every environment that is declared present, on the controller, and checks that it can be read.
  - The lock is what the declaration's C(lock_file) names, which may be a unified lockfile of conda-lock (C(.yml),
    version 1) and has to be there. Without C(lock_file) it is C(<name>-<platform>.lock) in O(directory), if there is
    such a file; the playbook C(playbooks/lock.yml) makes it.
options:
  _terms:
    description:
      - The declarations as the inventory has them, or one list of them.
      - A relative C(lock_file) is looked for like the files of P(ansible.builtin.file#lookup).
    type: list
    elements: raw
    required: true
  directory:
    description: The directory of the locks on the controller. A relative one is below the playbook's.
    type: str
    required: true
  platform:
    description: conda's name for the platform of the host, for example V(linux-64).
    type: str
    required: true
  mode:
    description:
      - V(none) reads no lock, V(prefer) those that are there.
      - V(require) fails, naming them, for environments without a lock.
    type: str
    choices: [none, prefer, require]
    default: prefer
seealso:
  - plugin: pystack.infra.conda_environments
    plugin_type: lookup
  - module: pystack.infra.conda_env
"""

EXAMPLES = r"""
- name: Environments from their locks
  pystack.infra.conda_env:
    envs_dir: /opt/conda-envs
    conda_executable: /opt/miniconda3/bin/conda
    environments: "{{ declared }}"
    locks: >-
      {{ lookup('pystack.infra.conda_locks', declared, directory=inventory_dir ~ '/locks', platform='linux-64') }}
  vars:
    declared:
      - name: analysis
        packages: [numpy]
"""

RETURN = r"""
_raw:
  description:
    - One mapping from the names of environments to their locks. Each has C(path), the file on the controller, and
      C(text), the lock in the collection's own form.
  type: list
  elements: dict
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import (
    Lock,
    LockError,
    from_conda_lock,
    parse_lock,
)

_ELSE = "put it there, or leave lock_file out and make a lock with playbooks/lock.yml"
_MAKE = "make it with: ansible-playbook playbooks/lock.yml -i <your inventory>"


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible publishes no types
    """The lookup."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **options: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=options)
        mode, platform = self.get_option("mode"), self.get_option("platform")
        if mode == "none":
            return [{}]
        locks, missing = {}, []
        for name, place, declaration in _present(self._flatten(terms)):
            path = self._declared_path(declaration.get("lock_file"), place, variables) or self._usual_path(name)
            if os.path.exists(path):
                locks[name] = {"path": path, "text": self._read(path, platform).text()}
            else:
                missing.append(f"{name} has no lock (looked at {path})")
        if missing and mode == "require":
            raise AnsibleLookupError(f"{'; '.join(missing)}; {_MAKE}")
        return [locks]

    def _declared_path(self, value: Any, place: str, variables: Mapping[str, Any] | None) -> str:
        """Where the file is that a declaration names; empty when it names none."""
        if value is None:
            return ""
        if not isinstance(value, str) or not value:
            raise AnsibleLookupError(f"{place}.lock_file: {value!r} is not the path of a lock")
        found = self.find_file_in_search_path(variables or {}, "files", value, ignore_missing=True)
        if not found:
            raise AnsibleLookupError(f"{place}.lock_file: there is no file '{value}' on the controller; {_ELSE}")
        return str(found)

    def _usual_path(self, name: str) -> str:
        directory = self._loader.path_dwim(self.get_option("directory"))
        return os.path.join(directory, f"{name}-{self.get_option('platform')}.lock")

    def _read(self, path: str, platform: str) -> Lock:
        try:
            if path.endswith((".yml", ".yaml")):
                return from_conda_lock(self._loader.load_from_file(path, cache="none"), platform, path)
            lock = parse_lock(self._loader.get_text_file_contents(path), path)
        except LockError as error:
            raise AnsibleLookupError(str(error)) from error
        except AnsibleError as error:
            raise AnsibleLookupError(f"{path} cannot be read: {error}") from error
        if lock.platform not in (platform, "noarch"):
            raise AnsibleLookupError(f"{path}: the lock is for {lock.platform}, and the host is {platform}")
        return lock


def _present(declarations: list[Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, place and content of the environments that are to be there. What is malformed is left to the checks of
    declarations; a name that is a path would lead out of the directory."""
    for index, declaration in enumerate(declarations):
        value = declaration.get("name") if isinstance(declaration, Mapping) else None
        name = value.strip() if isinstance(value, str) else ""
        if name and name == os.path.basename(name) and declaration.get("state") != "absent":
            yield str(name), f"environments[{index}]", declaration
