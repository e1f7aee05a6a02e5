"""Questions about a host that several scenarios ask; they speak testinfra and know no distribution."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.kit.docker import inspect

Host = Any  # testinfra publishes no types

# The state of an unprivileged user at a bank: a closed umask and nothing of root's environment.
_AS_NOBODY = "runuser -u nobody -- env -i HOME=/nonexistent PATH=/usr/bin:/bin LANG=C.UTF-8"


def as_nobody(host: Host, script: str, interpreter: str = "sh") -> str:
    """Output of a shell script run by an unprivileged user under umask 077."""
    return str(host.check_output(f"{_AS_NOBODY} {interpreter} -c {shlex.quote('umask 077; ' + script)}"))


def login_shell(host: Host, script: str) -> str:
    """Output of a script in the same user's login shell."""
    return str(host.check_output(f"{_AS_NOBODY} bash -lc {shlex.quote('umask 077; ' + script)}"))


def unreadable(host: Host, directory: str) -> list[str]:
    """What others cannot read or enter below a directory, or could change."""
    query = (
        f"find {directory} -xdev \\( ! -type l \\( -perm /022 -o ! -perm -004 -o -type d ! -perm -001 \\)"
        # Nobody else may hold the lock of a run.
        " -o ! -user root \\) ! -path '*/.pystack/lock' -print"
    )
    return str(host.check_output(query)).split()


def tree(host: Host, *directories: str) -> list[str]:
    """Everything below directories with its mode; of files and links also owner, size, time and target."""
    query = r"\( -type d -printf '%p %m\n' -o -printf '%p %m %U %s %T@ %l\n' \)"
    return sorted(str(host.check_output(f"find {' '.join(directories)} {query}")).splitlines())


def records(host: Host, prefix: str) -> dict[str, dict[str, Any]]:
    """conda-meta of an environment, by package name."""
    script = (
        "import glob, json, sys;"
        f"print(json.dumps([json.load(open(f)) for f in glob.glob({prefix!r} + '/conda-meta/*.json')]))"
    )
    return {record["name"]: record for record in json.loads(host.check_output(f"python3 -c {shlex.quote(script)}"))}


_DRIFT = """
import glob, hashlib, json, os, sys
for meta in glob.glob(sys.argv[1] + "/conda-meta/*.json"):
    for entry in json.load(open(meta))["paths_data"]["paths"]:
        path = os.path.join(sys.argv[1], entry["_path"])
        want = entry.get("sha256_in_prefix") or entry.get("sha256")
        if not os.path.lexists(path):
            print("missing", path)
        elif want and entry["path_type"] == "hardlink" and "prefix_placeholder" not in entry:
            if hashlib.sha256(open(path, "rb").read()).hexdigest() != want:
                print("changed", path)
"""


def drift(host: Host, prefix: str) -> list[str]:
    """Files of an environment that are gone or are not what their packages brought."""
    return str(host.check_output(f"python3 -c {shlex.quote(_DRIFT)} {prefix}")).splitlines()


def listeners(host: Host) -> list[str]:
    """Local addresses of listening TCP sockets, but for the resolver that Docker puts into every container."""
    addresses = [line.split()[3] for line in str(host.check_output("ss -Hltn")).splitlines()]
    return sorted(address for address in addresses if not address.startswith("127.0.0.11:"))


def container(host: Host) -> dict[str, Any]:
    """What Docker knows of a host, which is a container."""
    found = inspect("container", host.backend.name)
    assert found is not None, f"no container {host.backend.name}"
    return found


def address(host: Host) -> str:
    """The IP address of a host on the one network that it is attached to."""
    (network,) = container(host)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])
