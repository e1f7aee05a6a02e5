"""jupyter_ssl did its part: seen from the network, from the host, and with the configuration broken."""

import http.client
import os
import ssl
import stat
from pathlib import Path

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import (
    Server,
    speaks_http,
    speaks_tls_1_1,
    wait_until_ready,
)

from tests.browser import visit
from tests.support.hosts import address, listeners

testinfra_hosts = ["docker://pystack-deb13", "docker://pystack-el9"]

PORT = 8888
# The inventory has a password for this host; those of the others are generated.
GIVEN = {"pystack-el9": "correct horse battery staple"}
HASH_FILE = "/etc/jupyter/server/jupyter_config.json"
SERVER_CONFIG = "/etc/jupyter/server/jupyter_server_config.json"


@pytest.fixture
def name(host):
    return host.backend.name


@pytest.fixture
def authority(host):
    return host.file("/etc/jupyter/ca.crt").content_string


@pytest.fixture
def password(name):
    """What a person types at the login."""
    return GIVEN.get(name) or (credentials(name) / "jupyter.password").read_text().strip()


def credentials(name):
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "credentials", name)


def in_here(host, tmp_path):
    """The server as a client on the network sees it, trusting what the host's PEM file says."""
    pem = tmp_path / "server.pem"
    pem.write_text(host.file("/etc/jupyter/server/server.pem").content_string)
    return Server(address(host), PORT, "/", str(pem))


def test_the_chain_and_the_name_verify_from_the_network(host, authority):
    context = ssl.create_default_context(cadata=authority)
    connection = http.client.HTTPSConnection(address(host), PORT, timeout=10, context=context)
    connection.request("GET", "/api")
    assert connection.getresponse().status == 200
    certificate = connection.sock.getpeercert()
    assert ("IP Address", address(host)) in certificate["subjectAltName"]
    assert ("DNS", "localhost") in certificate["subjectAltName"]


def test_the_authority_can_vouch_for_this_host_only(host):
    text = host.check_output("openssl x509 -in /etc/jupyter/ca.crt -noout -text")
    assert "X509v3 Name Constraints: critical" in text
    assert "CA:TRUE, pathlen:0" in text


def test_the_password_lets_in_and_nothing_else_does(host, password, tmp_path):
    server = in_here(host, tmp_path)
    assert server.request("GET", "api/status").status == 403
    assert server.login("not the password").status == 401
    session = server.login(password)
    assert session.status == 302
    assert server.request("GET", "api/status", cookies=session.cookies).status == 200
    assert server.request("GET", "api/status?token=").status == 403


def test_neither_http_nor_old_tls_is_spoken(host):
    assert not speaks_http(address(host), PORT)
    assert not speaks_tls_1_1(address(host), PORT)


def test_only_tls_suites_with_forward_secrecy_and_aead(host, authority):
    context = ssl.create_default_context(cadata=authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
    connection = http.client.HTTPSConnection(address(host), PORT, timeout=10, context=context)
    with pytest.raises(ssl.SSLError):
        connection.connect()


def test_cookies_are_for_https_and_a_day(host, password, tmp_path):
    server = in_here(host, tmp_path)
    connection = http.client.HTTPSConnection(server.address, PORT, timeout=10, context=server.tls())
    page = server.request("GET", "login")
    connection.request(
        "POST", "/login", f"_xsrf={page.cookies['_xsrf']}&password={password.replace(' ', '+')}",
        {"Cookie": f"_xsrf={page.cookies['_xsrf']}", "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    response = connection.getresponse()
    session = next(c for c in response.headers.get_all("Set-Cookie") if c.startswith("username-"))
    assert "Secure" in session
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_it_runs_as_its_own_user(host):
    process = host.process.get(user="jupyter", comm="jupyter-lab")
    assert process.group == "jupyter"
    assert host.user("jupyter").home == "/home/jupyter"


def test_secrets_are_closed_to_others(host):
    for path in (HASH_FILE, "/etc/jupyter/server/server.pem"):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "jupyter", 0o640), path
    assert host.file("/etc/jupyter/tls").mode == 0o700
    assert "argon2:$argon2id$" in host.file(HASH_FILE).content_string


def test_the_generated_password_is_closed_to_others(name):
    if name in GIVEN:
        assert not (credentials(name) / "jupyter.password").exists()
    else:
        assert stat.S_IMODE((credentials(name) / "jupyter.password").stat().st_mode) == 0o600


def test_no_secret_is_in_the_journal_or_in_process_lists(host, password):
    assert password not in host.check_output("journalctl --no-pager -o cat")
    assert password not in host.check_output("ps auxwwe")


def test_the_unit_is_enabled_and_sandboxed(host):
    unit = host.service("jupyter")
    assert unit.is_enabled
    assert unit.is_running
    exposure = host.check_output("systemd-analyze security jupyter --no-pager | tail -1")
    assert float(exposure.split(":")[1].split()[0]) <= 1.5, exposure


def test_no_other_door_is_open(host):
    doors = {address.rsplit(":", 1)[1] for address in listeners(host) if not address.startswith("127.")}
    assert doors <= {"22", str(PORT)}


def test_it_comes_back_after_a_kill(host, tmp_path):
    host.check_output("systemctl kill --signal=SIGKILL jupyter")
    assert wait_until_ready(in_here(host, tmp_path), 30)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (SERVER_CONFIG, "{ broken"),
        (HASH_FILE, '{"PasswordIdentityProvider": {"hashed_password": ""}}'),
    ],
)
def test_it_does_not_start_with_a_broken_configuration(host, tmp_path, file, content):
    host.check_output(f"cp -a {file} {file}.good")
    try:
        host.check_output("printf %s " + repr(content) + f" > {file}")
        host.run("systemctl reset-failed jupyter")
        host.run("systemctl restart jupyter")
        # Long enough for a start that is not refused: on these machines it takes about two seconds.
        host.check_output("sleep 4")
        assert not any(address.endswith(f":{PORT}") for address in listeners(host))
    finally:
        host.check_output(f"mv {file}.good {file}; systemctl reset-failed jupyter; systemctl restart jupyter")
        wait_until_ready(in_here(host, tmp_path), 60)


def test_a_person_works_in_the_browser(host, name, authority, password):
    url = f"https://{address(host)}:{PORT}"
    seen = visit(url, password, authority, kernel="Python for Finance", artifact=f"browser-{name}")
    assert "the terminal runs commands as jupyter" in seen
