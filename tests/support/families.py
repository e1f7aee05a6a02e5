"""What differs between the families of distributions, so that the checks of a host need not ask which one it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.hosts import Host


def _lines(text: str, pattern: str) -> list[str]:
    """What the group of a pattern is in each line that matches it."""
    return re.findall(rf"(?m)^{pattern}$", text)


def _ufw_ports(host: Host) -> set[str]:
    status = str(host.check_output("ufw status verbose"))
    assert "Status: active" in status
    assert "deny (incoming)" in status, status
    # "22,8888/tcp (pystack)      ALLOW IN    Anywhere", and the same for IPv6.
    rules = _lines(status, r"(\S+/\w+) .*\bALLOW IN\b.*")
    assert len(rules) == status.count("ALLOW IN"), f"a rule without a port: {status}"
    pairs = [rule.split("/") for rule in rules]
    return {f"{port}/{protocol}" for ports, protocol in pairs for port in ports.split(",")}


def _firewalld_ports(host: Host) -> set[str]:
    assert host.check_output("firewall-cmd --state") == "running"
    zone = str(host.check_output("firewall-cmd --get-default-zone"))
    # An interface or a source in another zone would be let in by other rules.
    elsewhere = set(_lines(str(host.check_output("firewall-cmd --get-active-zones")), r"(\S+)(?: \(default\))?"))
    assert elsewhere <= {zone}, elsewhere
    listing = str(host.check_output("firewall-cmd --list-all"))
    found = {name: value.strip() for name, value in re.findall(r"(?m)^  ([a-z -]+):(.*)$", listing)}
    assert found["target"] in ("default", "DROP", "%%REJECT%%"), listing
    # Replies to the host's own requests for an IPv6 address, which ufw lets in as well, by rules of its own.
    assert set(found["services"].split()) <= {"dhcpv6-client"}, listing
    others = ("protocols", "source-ports", "forward-ports", "rich rules")
    assert not any(found[name] for name in others), listing
    return set(found["ports"].split())


@dataclass(frozen=True)
class Family:
    """One family: where its things lie, and what it is asked with."""

    name: str
    #: All authorities that the system trusts, in one file.
    ca_bundle: str
    #: Files of ours that the bundle is made of, as a pattern.
    anchors: str
    locale_file: str
    ssh_unit: str
    #: Commands that linux_base_tools brings.
    tools: tuple[str, ...]
    #: Packages that the package manager has downloaded: a directory and a pattern.
    downloads: tuple[str, str]
    _open_ports: Callable[[Host], set[str]] = field(repr=False)

    def open_ports(self, host: Host) -> set[str]:
        """Ports that the firewall lets in, as "22/tcp". Fails where it lets in anything else, or is not active."""
        return self._open_ports(host)

    def downloaded(self, host: Host) -> list[str]:
        """Package files in the package manager's cache."""
        directory, pattern = self.downloads
        found = f"[ ! -d {directory} ] || find {directory} -name '{pattern}'"
        return str(host.check_output(found)).splitlines()


DEBIAN = Family(
    name="Debian",
    ca_bundle="/etc/ssl/certs/ca-certificates.crt",
    anchors="/usr/local/share/ca-certificates/pystack/pystack-*.crt",
    locale_file="/etc/default/locale",
    ssh_unit="ssh",
    tools=("bzip2", "gcc", "git", "htop", "screen", "vim", "wget"),
    downloads=("/var/cache/apt/archives", "*.deb"),
    _open_ports=_ufw_ports,
)
RED_HAT = Family(
    name="RedHat",
    ca_bundle="/etc/pki/tls/certs/ca-bundle.crt",
    anchors="/etc/pki/ca-trust/source/anchors/pystack-*.crt",
    locale_file="/etc/locale.conf",
    ssh_unit="sshd",
    tools=("bzip2", "gcc", "git", "tmux", "vim", "wget"),
    downloads=("/var/cache/dnf", "*.rpm"),
    _open_ports=_firewalld_ports,
)
_BY_ID = {"debian": DEBIAN, "ubuntu": DEBIAN, "rhel": RED_HAT, "fedora": RED_HAT}


def family(host: Host) -> Family:
    """The family of a host, by what its os-release says that it is like."""
    text = str(host.file("/etc/os-release").content_string)
    names = " ".join(_lines(text, r"ID=(.*)") + _lines(text, r"ID_LIKE=(.*)")).replace('"', "").split()
    found = [_BY_ID[name] for name in names if name in _BY_ID]
    assert found, f"os-release names no family that is known here: {names}"
    return found[0]
