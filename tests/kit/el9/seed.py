"""Fill the image's RPM database: python3 -m el9.seed registers what Debian's packages gave it, under EL's names.

The packages are empty and are recorded only (--justdb): their files are Debian's.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .names import DEBIAN_ONLY, el_name, el_version
from .spec import Rpm, render

#: What other packages and the package manager ask for, beside names.
PROVIDES = {
    "bash": ["/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh"],
    "coreutils": ["/usr/bin/env"],
    "dnf": ["yum"],
    "dnf-plugins-core": ["dnf-command(config-manager)", "yum-utils"],
    "openssh-server": ["/usr/sbin/sshd"],
    "python3": ["/usr/bin/python3", "python(abi) = 3.11"],
    "shadow-utils": ["/usr/sbin/useradd", "/usr/sbin/groupadd"],
    "systemd": ["systemd-units", "/usr/bin/systemctl"],
}
#: Not of Debian: the release itself, and the older half of a pair (BaseOS has the newer).
OWN = (
    Rpm(
        "rocky-release",
        "9.6",
        "1.el9",
        "Release files of the stand-in",
        noarch=True,
        provides=["system-release = 9.6", "system-release(releasever) = 9", "redhat-release = 9.6"],
    ),
    Rpm("pystack-sample", "1.0", "1.el9", "A package that has an update", noarch=True),
)


def installed(listing: str) -> list[Rpm]:
    """Packages of a listing with lines "name TAB version TAB status"; the first of several under one name counts."""
    found: dict[str, Rpm] = {}
    for line in listing.splitlines():
        debian, version, status = line.split("\t")
        name = el_name(debian)
        # The package that has the name itself speaks for it, whatever its place in the list.
        if status == "installed" and debian not in DEBIAN_ONLY and (name not in found or debian == name):
            summary = f"In the image, as Debian's {debian}"
            found[name] = Rpm(name, *el_version(version), summary, provides=PROVIDES.get(name, []))
    return [*found.values(), *OWN]


def main() -> None:
    query = ["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Status}\n"]
    rpms = installed(subprocess.run(query, capture_output=True, text=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "seed.spec")
        spec.write_text(render("seed", rpms))
        define = ["--define", f"_topdir {folder}", "--define", f"_rpmdir {folder}/rpms"]
        subprocess.run(["rpmbuild", "-bb", "--quiet", *define, str(spec)], check=True)
        subprocess.run(["rpm", "--initdb"], check=True)
        files = [str(Path(folder, "rpms", rpm.file_name)) for rpm in rpms]
        subprocess.run(["rpm", "--install", "--justdb", "--nodeps", "--nosignature", *files], check=True)
    print(f"el9: {len(rpms)} packages in the RPM database")


if __name__ == "__main__":
    main()
