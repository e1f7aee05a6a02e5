"""linux_base did its part: the book's tools, the trust that a bank's network needs, and closed ports."""

import socket
import ssl
from pathlib import Path

import pytest

from tests.support.families import family
from tests.support.hosts import address
from tests.support.play import play

testinfra_hosts = ["docker://pystack-deb13", "docker://pystack-el9"]

# What the controller trusts, as tests/kit passes it on to the hosts.
CONTROLLERS = Path("/etc/ssl/certs/ca-certificates.crt")
JUPYTER, OTHER = 8888, 8099
UNIT = "pystack-listener"


def test_the_books_tools_run(host):
    for tool in family(host).tools:
        assert host.run(f"{tool} --version || {tool} -V || {tool} -h").rc == 0, tool


def test_the_controllers_authorities_are_trusted(host, tmp_path):
    if not CONTROLLERS.is_file():
        pytest.skip("this controller has no CA bundle to pass on")
    wanted, trusted = ssl.create_default_context(cafile=str(CONTROLLERS)), tmp_path / "trusted.crt"
    trusted.write_text(host.file(family(host).ca_bundle).content_string)
    there = ssl.create_default_context(cafile=str(trusted))
    missing = {der for der in wanted.get_ca_certs(binary_form=True)} - set(there.get_ca_certs(binary_form=True))
    assert not missing, f"{len(missing)} authorities of the controller are unknown to the host"


def test_the_package_cache_was_cleaned(host):
    assert family(host).downloaded(host) == []


def test_a_container_gets_no_swap_file(host):
    assert not host.file("/swapfile").exists


def test_locale_and_time_zone(host):
    assert "C.UTF-8" in host.file(family(host).locale_file).content_string
    assert host.check_output("date +%Z") == "UTC"


# ---------------------------------------------------------------- the firewall, as it is set and as the network sees it


def answers(host, port):
    """Whether a connection from the controller reaches a port of the host."""
    try:
        socket.create_connection((address(host), port), timeout=3).close()
    except OSError:
        return False
    return True


@pytest.fixture
def listener(host):
    """A server on the host that nobody declared. It answers on the host itself, so that its silence means something."""
    host.check_output(f"systemd-run --quiet --unit {UNIT} python3 -m http.server {OTHER} --directory /run/systemd")
    try:
        inside = f"timeout 10 bash -c 'until (: < /dev/tcp/127.0.0.1/{OTHER}) 2> /dev/null; do sleep 0.1; done'"
        assert host.run(inside).rc == 0, "the listener did not start"
        yield OTHER
    finally:
        host.run(f"systemctl stop {UNIT}")


def declare(host, *ports):
    """The result of a run with these ports declared besides Jupyter's."""
    variables = {"linux_base_firewall": True, "linux_base_firewall_ports": [{"port": JUPYTER, "proto": "tcp"}, *ports]}
    result = play(host, "linux_base", variables, more=("--tags", "linux_base_configure"))
    assert result.code == 0, result.output[-3000:]
    return result


def test_the_firewall_lets_in_only_ssh_and_jupyter(host):
    assert family(host).open_ports(host) == {"22/tcp", f"{JUPYTER}/tcp"}


def test_the_network_reaches_jupyter_and_nothing_that_was_not_declared(host, listener):
    assert answers(host, JUPYTER)
    assert not answers(host, listener)


def test_a_port_is_open_as_long_as_it_is_declared(host, listener):
    try:
        opened = declare(host, {"port": listener}, {"port": 5353, "proto": "udp"})
        assert opened.changed > 0
        assert family(host).open_ports(host) == {"22/tcp", f"{JUPYTER}/tcp", f"{listener}/tcp", "5353/udp"}
        assert answers(host, listener)
        assert answers(host, JUPYTER)
    finally:
        closed = declare(host)
    assert closed.changed > 0
    assert family(host).open_ports(host) == {"22/tcp", f"{JUPYTER}/tcp"}
    assert not answers(host, listener)
    assert answers(host, JUPYTER)
    assert declare(host).changed == 0
