# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible lookup: declared conda environments, with what their environment.yml says."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: conda_environments
short_description: Read the environment.yml files that declared conda environments name
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Gives the declarations as P(pystack.infra.conda_env#module) takes them. The key C(file), the path of an
    C(environment.yml) on the controller, is replaced by what the file says.
  - What a declaration has itself wins over the file's C(channels), C(packages), C(pip) and C(variables). The name is
    always the declaration's, so that a file can serve for several environments.
  - The file of an environment whose C(state) is C(absent) is not read, since it may be gone as well.
  - C(lock_file) is left out; P(pystack.infra.conda_locks#lookup) reads it.
  - What is no declaration at all is handed on as it is, for P(pystack.infra.environment_problems#filter) to name.
options:
  _terms:
    description:
      - The declarations, or one list of them.
      - A relative C(file) is looked for like the files of P(ansible.builtin.file#lookup), in C(files) of the role or
        the playbook first.
    type: list
    elements: raw
    required: true
seealso:
  - plugin: pystack.infra.conda_locks
    plugin_type: lookup
  - module: pystack.infra.conda_env
"""

EXAMPLES = r"""
- name: An environment as a data scientist has sent it
  pystack.infra.conda_env:
    envs_dir: /opt/conda-envs
    conda_executable: /opt/miniconda3/bin/conda
    environments: "{{ query('pystack.infra.conda_environments', declared) }}"
  vars:
    declared:
      - name: analysis
        file: "{{ inventory_dir }}/environments/analysis.yml"
        jupyter_kernel: Analysis
"""

RETURN = r"""
_list:
  description: The declarations in their order.
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.pystack.infra.plugins.module_utils.conda.environment_file import read_environment_file

_OF_CONTROLLER = ("file", "lock_file")


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible publishes no types
    """The lookup."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **options: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=options)
        declarations = enumerate(self._flatten(terms))
        return [
            self._declared(declaration, f"environments[{index}].file", variables) for index, declaration in declarations
        ]

    def _declared(self, declaration: Any, place: str, variables: Mapping[str, Any] | None) -> Any:
        if not isinstance(declaration, Mapping):
            return _plain(declaration)
        own = {str(key): _plain(value) for key, value in declaration.items() if key not in _OF_CONTROLLER}
        path = declaration.get("file")
        if path is None or own.get("state") == "absent":
            return own
        said = self._read(path, place, variables)
        return {**said, **{key: value for key, value in own.items() if value is not None or key not in said}}

    def _read(self, path: Any, place: str, variables: Mapping[str, Any] | None) -> dict[str, Any]:
        """What a file says, without the name."""
        if not isinstance(path, str) or not path:
            raise AnsibleLookupError(f"{place}: {path!r} is not the path of an environment.yml")
        found = self.find_file_in_search_path(variables or {}, "files", path, ignore_missing=True)
        if not found:
            raise AnsibleLookupError(f"{place}: there is no file '{path}' on the controller")
        try:
            declaration = read_environment_file(self._loader.load_from_file(found, cache="none"), found)
        except ValueError as error:
            raise AnsibleLookupError(f"{place}: {error}") from error
        except AnsibleError as error:
            raise AnsibleLookupError(f"{place}: {found} cannot be read: {error}") from error
        return {key: value for key, value in declaration.items() if key != "name"}


def _plain(value: Any) -> Any:
    """The value in Python's own types, without what Ansible knows about it."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
