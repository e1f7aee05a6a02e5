"""linux_base did its part: the book's tools, and the trust that a bank's network needs."""

import ssl
from pathlib import Path

import pytest

testinfra_hosts = ["docker://pystack-deb12", "docker://pystack-deb13"]

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.mark.parametrize("tool", ["bzip2", "gcc", "git", "htop", "screen", "vim", "wget"])
def test_the_books_tools_run(host, tool):
    assert host.run(f"{tool} --version || {tool} -h").rc == 0


def test_the_controllers_authorities_are_trusted(host, tmp_path):
    if not BUNDLE.is_file():
        pytest.skip("this controller has no CA bundle to pass on")
    wanted, trusted = ssl.create_default_context(cafile=str(BUNDLE)), tmp_path / "trusted.crt"
    trusted.write_text(host.file(str(BUNDLE)).content_string)
    there = ssl.create_default_context(cafile=str(trusted))
    missing = {der for der in wanted.get_ca_certs(binary_form=True)} - set(there.get_ca_certs(binary_form=True))
    assert not missing, f"{len(missing)} authorities of the controller are unknown to the host"


def test_the_package_cache_was_cleaned(host):
    assert host.run("ls /var/cache/apt/archives/*.deb").rc != 0


def test_a_container_gets_no_swap_file(host):
    assert not host.file("/swapfile").exists


def test_locale_and_time_zone(host):
    assert "C.UTF-8" in host.file("/etc/default/locale").content_string
    assert host.check_output("date +%Z") == "UTC"


def test_the_firewall_lets_in_only_ssh_and_jupyter(host):
    status = host.check_output("ufw status verbose")
    assert "Status: active" in status
    assert "deny (incoming)" in status
    allowed = [line.split("/tcp")[0].split(",") for line in status.splitlines() if "ALLOW IN" in line]
    assert {port for ports in allowed for port in ports} == {"22", "8888"}, status
