"""Hosts as the operator wanted them, then with input that is not a certificate, then without the authorities."""

import shlex

import testinfra
import yaml

from tests.kit.docker import docker
from tests.support.families import family
from tests.support.hosts import container
from tests.support.play import play

testinfra_hosts = ["docker://pystack-linux-base", "docker://pystack-linux-base-el9"]

_SUBJECTS = """
import ssl, sys
for certificate in ssl.create_default_context(cafile=sys.argv[1]).get_ca_certs():
    print(dict(pair[0] for pair in certificate["subject"]).get("commonName", ""))
"""


def trusted(host):
    return set(host.check_output(f"python3 -c {shlex.quote(_SUBJECTS)} {family(host).ca_bundle}").splitlines())


def login(host, script):
    return host.check_output(f"env -i bash -lc {shlex.quote(script)}")


def test_packages_of_the_operator_and_no_others(host):
    assert host.package("tree").is_installed
    assert not host.package("screen").is_installed


def test_every_authority_of_the_bundle_is_trusted_beside_the_systems(host):
    names = trusted(host)
    assert {"Company Authority One", "Company Authority Two"} <= names
    assert len(names) > 50, "the system's own authorities are gone"


def test_what_brings_authorities_of_its_own_is_pointed_at_the_systems(host):
    seen = login(host, 'echo "$SSL_CERT_FILE $REQUESTS_CA_BUNDLE $CURL_CA_BUNDLE $NODE_EXTRA_CA_CERTS $GIT_SSL_CAINFO"')
    assert set(seen.split()) == {family(host).ca_bundle}
    assert f"cert = {family(host).ca_bundle}" in host.file("/etc/pip.conf").content_string


def test_time_zone_and_locale(host):
    assert host.check_output("date --date=2026-01-01 +%Z") == "CET"
    assert "de_DE.utf8" in host.check_output("locale -a").splitlines()
    assert "LANG=de_DE.UTF-8" in host.file(family(host).locale_file).content_string


def test_a_container_gets_no_swap_file_even_on_demand(host):
    assert not host.file("/swapfile").exists


def test_what_is_not_a_certificate_is_refused_and_the_trust_stays(host):
    before = trusted(host)
    result = play(host, "linux_base", {"linux_base_ca_certificates": [{"name": "broken", "content": "no certificate"}]})
    assert result.code == 2
    assert result.says("broken"), result.output[-2000:]
    assert trusted(host) == before


def test_an_empty_list_takes_the_authorities_away_again(host):
    result = play(host, "linux_base", {"linux_base_ca_certificates": []})
    assert result.code == 0, result.output[-2000:]
    assert not {name for name in trusted(host) if name.startswith("Company")}
    assert host.run(f"ls -d {family(host).anchors}").stdout == ""
    assert not host.file("/etc/profile.d/pystack-ca.sh").exists
    assert not host.file("/etc/pip.conf").exists or "cert" not in host.file("/etc/pip.conf").content_string
    again = play(host, "linux_base", {"linux_base_ca_certificates": []})
    assert (again.code, again.changed) == (0, 0), again.output[-2000:]


def test_a_host_whose_configuration_is_sealed_is_refused_in_one_sentence(host, tmp_path):
    """As in an image that is complete: nothing but memory can be written."""
    name = f"{host.backend.name}-sealed"
    memory = [option for path in ("/tmp", "/run", "/root") for option in ("--tmpfs", path)]  # noqa: S108
    docker("rm", "--force", name, check=False)
    docker(
        "run", "--detach", "--name", name, "--read-only", *memory, "--network", "none",
        container(host)["Config"]["Image"], "sleep", "infinity",
    )  # fmt: skip
    try:
        connection = {"ansible_connection": "community.docker.docker", "ansible_user": "root"}
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {name: connection}}}))
        result = play(testinfra.get_host(f"docker://{name}"), "linux_base", {}, inventory=inventory)
    finally:
        docker("rm", "--force", name)
    assert (result.code, result.changed) == (2, 0), result.output[-2000:]
    assert result.says(f"/etc of {name} is read-only", "file system that can be written"), result.output[-2000:]
