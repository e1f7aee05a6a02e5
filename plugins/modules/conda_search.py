#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Ansible module: what conda's channels offer."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conda_search
short_description: Search conda channels for packages
version_added: 0.1.0
author: pystack contributors (@pystack)
description:
  - Asks conda which packages the channels offer, and returns them sorted, the newest version first.
  - Changes nothing but conda's own copy of the channels' indexes.
requirements:
  - python >= 3.9
  - conda
options:
  specs:
    description:
      - What to look for, as package specifications that conda understands, for example V(pandas), V(pandas>=2,<3) or
        V(conda-forge::pandas).
      - A V(*) in the name stands for any text, as in V(numpy*).
      - A specification that no package matches is a failure, which names all that are missing.
    type: list
    elements: str
    required: true
  channels:
    description:
      - Channels to search. With channels given conda is told to use no others; without, conda's own configuration
        decides. A specification that names a channel is looked for in that channel.
      - C(nodefaults) is dropped. Credentials in a URL are refused; they belong into C(~/.netrc).
    type: list
    elements: str
    default: []
  conda_executable:
    description:
      - The C(conda) command.
    type: path
    required: true
  platform:
    description:
      - Platform to look for, for example V(linux-aarch64). Without it, that of the host.
    type: str
  latest:
    description:
      - Whether to return only the newest version and build of each package.
    type: bool
    default: true
attributes:
  check_mode:
    description: Searches as usual.
    support: full
  diff_mode:
    description: Changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look for the newest pandas 2
  pystack.infra.conda_search:
    specs: ["pandas>=2,<3"]
    channels: [conda-forge]
    conda_executable: /opt/miniconda/bin/conda
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.table }}"

- name: Look for all versions of all packages whose names begin with numpy
  pystack.infra.conda_search:
    specs: ["numpy*"]
    latest: false
    conda_executable: /opt/miniconda/bin/conda
"""

RETURN = r"""
packages:
  description: What was found, by name, the newest version first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the package.
      type: str
      sample: pandas
    version:
      description: Its version.
      type: str
      sample: 2.2.3
    build:
      description: Its build.
      type: str
      sample: py311h7db5c69_1
    build_number:
      description: Number of the build.
      type: int
      sample: 1
    channel:
      description: URL of the channel, without the platform.
      type: str
      sample: https://conda.anaconda.org/conda-forge
    subdir:
      description: Its platform.
      type: str
      sample: linux-64
    size:
      description: Bytes to download, 0 where the channel does not tell.
      type: int
      sample: 15412345
    sha256:
      description: Checksum of the archive, empty where the channel does not tell.
      type: str
    depends:
      description: Specifications of the packages that it needs.
      type: list
      elements: str
      sample: ["python >=3.11,<3.12.0a0"]
    license:
      description: Its licence, where the channel tells.
      type: str
      sample: BSD-3-Clause
table:
  description: The same for people to read, with a head (name, version, build, channel, size).
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils.conda.match import redact
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import Conda, RunError
from ansible_collections.pystack.infra.plugins.module_utils.conda.search import latest, read_request, search, table


def main() -> None:
    # no_log keeps the arguments, in which somebody may have put credentials, out of the system's log.
    module = AnsibleModule(
        argument_spec={
            "specs": {"type": "list", "elements": "str", "required": True},
            "channels": {"type": "list", "elements": "str", "default": []},
            "conda_executable": {"type": "path", "required": True},
            "platform": {"type": "str"},
            "latest": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    given = dict(module.params)
    for name in ("specs", "channels"):
        module.params[name] = [redact(text) for text in given[name]]  # Ansible repeats these in the result
    executable = given["conda_executable"]
    if not executable.startswith("/"):
        module.fail_json(msg=f"conda_executable: '{executable}' is not an absolute path")
    try:
        request = read_request(given["specs"], given["channels"], given["platform"] or "")
        found = search(Conda(executable), request)
    except RunError as error:
        module.fail_json(msg=str(error), **error.details)
    except ValueError as error:
        module.fail_json(msg=str(error))
    offers = latest(found) if given["latest"] else found
    module.exit_json(changed=False, packages=[offer.result() for offer in offers], table=table(offers))


if __name__ == "__main__":
    main()
