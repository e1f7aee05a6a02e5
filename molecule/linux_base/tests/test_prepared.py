"""A host as the operator wanted it, then without the authorities, then with input that is not a certificate."""

import shlex

from tests.support.play import play

testinfra_hosts = ["docker://pystack-linux-base"]

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_SUBJECTS = f"""
import ssl
for certificate in ssl.create_default_context(cafile={BUNDLE!r}).get_ca_certs():
    print(dict(pair[0] for pair in certificate["subject"]).get("commonName", ""))
"""


def trusted(host):
    return set(host.check_output(f"python3 -c {shlex.quote(_SUBJECTS)}").splitlines())


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
    assert set(seen.split()) == {BUNDLE}
    assert f"cert = {BUNDLE}" in host.file("/etc/pip.conf").content_string


def test_time_zone_and_locale(host):
    assert host.check_output("date --date=2026-01-01 +%Z") == "CET"
    assert "de_DE.utf8" in host.check_output("locale -a").splitlines()
    assert "LANG=de_DE.UTF-8" in host.file("/etc/default/locale").content_string


def test_a_container_gets_no_swap_file_even_on_demand(host):
    assert not host.file("/swapfile").exists


def test_what_is_not_a_certificate_is_refused_and_the_trust_stays(host):
    before = trusted(host)
    result = play("linux_base", {"linux_base_ca_certificates": [{"name": "broken", "content": "no certificate"}]})
    assert result.code == 2
    assert result.says("broken"), result.output[-2000:]
    assert trusted(host) == before


def test_an_empty_list_takes_the_authorities_away_again(host):
    result = play("linux_base", {"linux_base_ca_certificates": []})
    assert result.code == 0, result.output[-2000:]
    assert not {name for name in trusted(host) if name.startswith("Company")}
    assert not host.file("/etc/profile.d/pystack-ca.sh").exists
    assert not host.file("/etc/pip.conf").exists or "cert" not in host.file("/etc/pip.conf").content_string
    again = play("linux_base", {"linux_base_ca_certificates": []})
    assert (again.code, again.changed) == (0, 0), again.output[-2000:]
