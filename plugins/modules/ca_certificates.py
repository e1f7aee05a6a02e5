#!/usr/bin/python
# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Own certificate authorities in the operating system's trust store."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_certificates
short_description: Keeps certificate authorities in the operating system's trust store
version_added: 0.1.0
author:
  - pystack contributors (@pystack)
description:
  - Splits PEM bundles into one file for each certificate, writes the missing ones, removes those it wrote earlier
    that are no longer wanted, and runs the distribution's refresh command only when something changed.
  - A certificate that the system bundle already holds, and that this module did not put there, gets no file.
  - A stamp records that a refresh was finished. A run that was killed between writing and refreshing is therefore
    repaired by the next one, and a system bundle that lost one of the certificates is refreshed as well.
options:
  bundles:
    description:
      - The wanted certificates. An empty list removes everything that this module wrote.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Short name, used for file names and messages; letters, digits, dots, dashes and underscores.
        type: str
        required: true
      content:
        description: One or more PEM certificates; text between them is ignored.
        type: str
        required: true
  directory:
    description: Directory that the refresh command reads. Only files named C(pystack-*.crt) are ours.
    type: path
    required: true
  system_bundle:
    description: The file that the refresh command writes, with all trusted certificates.
    type: path
    required: true
  refresh_command:
    description: Command and arguments that rebuild O(system_bundle).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
  diff_mode:
    description: Will return details on what has changed, as fingerprints and subjects.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
    support: full
"""

EXAMPLES = r"""
# On RHEL: /etc/pki/ca-trust/source/anchors, /etc/pki/tls/certs/ca-bundle.crt and [update-ca-trust, extract].
- name: Trust the company's authorities on Debian
  pystack.infra.ca_certificates:
    bundles:
      - name: company
        content: "{{ lookup('ansible.builtin.file', 'company-ca.pem') }}"
    directory: /usr/local/share/ca-certificates/pystack
    system_bundle: /etc/ssl/certs/ca-certificates.crt
    refresh_command: [update-ca-certificates]
"""

RETURN = r"""
written:
  description: Names of the files that were written (or would be, in check mode).
  returned: always
  type: list
  elements: str
removed:
  description: Names of the files that were removed (or would be).
  returned: always
  type: list
  elements: str
refreshed:
  description: Whether the refresh command ran (or would run).
  returned: always
  type: bool
"""

import hashlib
import json
import os
import re
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pystack.infra.plugins.module_utils import pem

PREFIX = "pystack-"
STAMP = ".pystack-stamp.json"
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read(path: str) -> str:
    """The text of a file; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def fingerprints(path: str) -> set[str]:
    """Fingerprints of a bundle that is not ours to judge: what cannot be read is not there."""
    found: set[str] = set()
    for block in BLOCK.findall(read(path)):
        try:
            found.update(certificate.fingerprint for certificate in pem.parse_bundle(path, block))
        except pem.PemError:
            continue
    return found


class Store:
    """Our files in the directory that the refresh command reads."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory: str = module.params["directory"]
        self.bundle: str = module.params["system_bundle"]
        self.stamp = os.path.join(self.directory, STAMP)
        self.present = self._present()
        self.wanted = self._wanted()

    def _present(self) -> dict[str, str]:
        if not os.path.isdir(self.directory):
            return {}
        names = [name for name in os.listdir(self.directory) if name.startswith(PREFIX) and name.endswith(".crt")]
        return {name: read(os.path.join(self.directory, name)) for name in sorted(names)}

    def _wanted(self) -> dict[str, pem.Certificate]:
        certificates: dict[str, tuple[str, pem.Certificate]] = {}
        for bundle in self.module.params["bundles"]:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bundle["name"]):
                self.module.fail_json(
                    msg=f"bundles: the name {bundle['name']!r} is not accepted; use letters, digits, '.', '-' and '_'"
                )
            try:
                for certificate in pem.parse_bundle(bundle["name"], bundle["content"]):
                    certificates.setdefault(certificate.fingerprint, (bundle["name"], certificate))
            except pem.PemError as error:
                self.module.fail_json(msg=str(error))
        if not certificates:
            return {}
        ours: set[str] = set()
        for name, text in self.present.items():
            try:
                ours.update(certificate.fingerprint for certificate in pem.parse_bundle(name, text))
            except pem.PemError:
                continue
        # What the distribution trusts anyway needs no second copy: with one, its tools warn about duplicates.
        others = fingerprints(self.bundle) - ours
        return {
            f"{PREFIX}{name}-{fingerprint[:16]}.crt": certificate
            for fingerprint, (name, certificate) in certificates.items()
            if fingerprint not in others
        }

    def digest(self) -> str:
        return hashlib.sha256("".join(sorted(c.fingerprint for c in self.wanted.values())).encode()).hexdigest()

    def recorded(self) -> dict[str, Any]:
        try:
            record = json.loads(read(self.stamp) or "{}")
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def incomplete(self) -> bool:
        """An earlier run was killed before its refresh, or the system bundle lost something since."""
        if not self.wanted and not self.present and not os.path.exists(self.stamp):
            return False
        if self.recorded().get("refreshed") != self.digest():
            return True
        return bool({c.fingerprint for c in self.wanted.values()} - fingerprints(self.bundle))

    def write(self, name: str, text: str) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        self.module.atomic_move(temporary, os.path.join(self.directory, name))

    def record(self, refreshed: str, created: bool) -> None:
        self.write(STAMP, json.dumps({"created_directory": created, "refreshed": refreshed}) + "\n")

    def apply(self, written: list[str], removed: list[str]) -> None:
        # RHEL brings its directory along, empty: only one that we made goes again.
        created = bool(self.recorded().get("created_directory", not os.path.isdir(self.directory)))
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        self.record("", created)
        for name in written:
            self.write(name, self.wanted[name].pem)
        for name in removed:
            os.unlink(os.path.join(self.directory, name))
        command = self.module.params["refresh_command"]
        _rc, out, err = self.module.run_command(command, check_rc=True)
        missing = {c.fingerprint for c in self.wanted.values()} - fingerprints(self.bundle)
        if missing:
            self.module.fail_json(
                msg=f"{' '.join(command)} ended well, but {len(missing)} of {len(self.wanted)} certificates are not in"
                f" {self.bundle}: do directory, system_bundle and refresh_command belong together?",
                stdout=out,
                stderr=err,
            )
        if self.wanted:
            self.record(self.digest(), created)
            return
        os.unlink(self.stamp)
        if created and not os.listdir(self.directory):
            os.rmdir(self.directory)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bundles": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                },
            },
            "directory": {"type": "path", "required": True},
            "system_bundle": {"type": "path", "required": True},
            "refresh_command": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if not module.params["refresh_command"]:
        module.fail_json(msg="refresh_command is empty; it needs a command, for example [update-ca-certificates]")
    store = Store(module)
    written = [name for name, certificate in store.wanted.items() if store.present.get(name) != certificate.pem]
    removed = [name for name in store.present if name not in store.wanted]
    refresh = bool(written or removed) or store.incomplete()
    if refresh and not module.check_mode:
        store.apply(written, removed)

    def subjects(names: list[str]) -> str:
        lines = []
        for name in sorted(names):
            certificate = store.wanted.get(name)
            if certificate is None:
                try:
                    certificate = pem.parse_bundle(name, store.present[name])[0]
                except pem.PemError:
                    lines.append(f"{name}  (not readable)\n")
                    continue
            lines.append(f"{name}  sha256:{certificate.fingerprint}  {certificate.subject}\n")
        return "".join(lines)

    before = {"before_header": module.params["directory"], "before": subjects(list(store.present))}
    module.exit_json(
        changed=refresh,
        written=written,
        removed=removed,
        refreshed=refresh,
        diff={**before, "after_header": module.params["directory"], "after": subjects(list(store.wanted))},
    )


if __name__ == "__main__":
    main()
