"""What operators do to a server: look, rotate, renew, take away, bring back. In this order, on each host."""

import http.client
import ssl

from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import wait_until_ready
from lab import BASE_URL, COMPANY, CONFIG, OWN_CA, PASSWORD, PORT, ROTATED, process, run, server

from tests.support.hosts import address, listeners

testinfra_hosts = ["docker://pystack-jupyter", "docker://pystack-jupyter-el9"]


def test_it_serves_the_companys_certificate_below_the_path(host):
    context = ssl.create_default_context(cafile=str(COMPANY / "company.crt"))
    connection = http.client.HTTPSConnection(address(host), PORT, timeout=10, context=context)
    connection.request("GET", f"{BASE_URL}api")
    assert connection.getresponse().status == 200
    assert not host.file("/etc/jupyter/ca.crt").exists
    assert not host.file("/etc/jupyter/tls").exists


def test_settings_and_variables_of_the_operator_are_in_force(host):
    assert '"shutdown_no_activity_timeout": 86400' in host.file(f"{CONFIG}/jupyter_server_config.json").content_string
    environment = host.check_output(f"tr '\\0' '\\n' < /proc/{process(host)}/environ")
    assert "LAB_PROXY=http://user:canary-3f9c@proxy.example:3128" in environment.splitlines()


def test_a_run_without_a_change_logs_nobody_out(host, tmp_path):
    lab = server(host, tmp_path)
    session, before = lab.login(PASSWORD), process(host)
    result = run(host)
    assert (result.code, result.changed) == (0, 0), result.output[-3000:]
    assert process(host) == before
    assert lab.request("GET", "api/status", cookies=session.cookies).status == 200


def test_no_secret_is_shown_by_a_talkative_run(host, tmp_path):
    """Rotates the password, with everything that makes Ansible talk."""
    lab = server(host, tmp_path)
    session = lab.login(PASSWORD)
    result = run(host, {"jupyter_ssl_password": ROTATED}, diff=True, more=("-vvv",))
    assert result.code == 0, result.output[-3000:]
    assert result.changed >= 1
    key = (COMPANY / f"{host.backend.name}.key").read_text().splitlines()[1]
    for secret in (ROTATED, PASSWORD, key, "canary-3f9c", "$argon2id$"):
        assert secret not in result.output, f"{secret[:12]} was shown"
        assert secret not in host.check_output("journalctl --no-pager -o cat; ps auxww")

    lab = server(host, tmp_path)
    assert lab.request("GET", "api/status", cookies=session.cookies).status == 403, "the old session lives on"
    assert lab.login(PASSWORD).status == 401
    assert lab.login(ROTATED).status == 302


def test_a_hash_for_hosts_under_fips_lets_in_as_well(host, tmp_path):
    fips = {"jupyter_ssl_password": ROTATED, "jupyter_ssl_password_algorithm": "sha256"}
    result = run(host, fips)
    assert result.code == 0 and result.changed >= 1, result.output[-3000:]
    assert '"sha256:' in host.file(f"{CONFIG}/jupyter_config.json").content_string
    assert server(host, tmp_path).login(PASSWORD).status == 401
    assert server(host, tmp_path).login(ROTATED).status == 302
    again = run(host, fips)
    assert (again.code, again.changed) == (0, 0), again.output[-3000:]

    back = run(host, {"jupyter_ssl_password": ROTATED})
    assert back.code == 0 and back.changed >= 1, back.output[-3000:]
    assert "argon2:$argon2id$" in host.file(f"{CONFIG}/jupyter_config.json").content_string


def test_a_certificate_of_its_own_is_renewed_without_a_restart(host, tmp_path):
    first = run(host, {**OWN_CA, "jupyter_ssl_certificate_days": 20, "jupyter_ssl_certificate_renewal_days": 10})
    assert first.code == 0, first.output[-3000:]
    authority, running = host.file("/etc/jupyter/ca.crt").content_string, process(host)
    old = ssl.get_server_certificate((address(host), PORT))

    renewed = run(host, OWN_CA)
    assert renewed.code == 0, renewed.output[-3000:]
    assert ssl.get_server_certificate((address(host), PORT)) != old, "the old certificate is still served"
    assert host.file("/etc/jupyter/ca.crt").content_string == authority, "clients would have to trust a new authority"
    assert process(host) == running, "kernels were killed"
    assert server(host, tmp_path).login(ROTATED).status == 302

    again = run(host, OWN_CA)
    assert (again.code, again.changed) == (0, 0), again.output[-3000:]


def test_absent_leaves_the_users_files_and_nothing_else(host):
    host.check_output("runuser -u jupyter -- touch /home/jupyter/notebook/mine.ipynb")
    result = run(host, {"jupyter_ssl_state": "absent"})
    assert result.code == 0, result.output[-3000:]
    assert not host.file("/etc/jupyter").exists
    assert not host.file("/etc/systemd/system/jupyter.service").exists
    assert not any(address.endswith(f":{PORT}") for address in listeners(host))
    assert host.file("/home/jupyter/notebook/mine.ipynb").exists
    assert run(host, {"jupyter_ssl_state": "absent"}).changed == 0


def test_purge_takes_the_user_too(host):
    result = run(host, {"jupyter_ssl_state": "absent", "jupyter_ssl_purge": True})
    assert result.code == 0, result.output[-3000:]
    assert not host.user("jupyter").exists
    assert not host.file("/home/jupyter").exists


def test_it_comes_back_on_a_host_that_was_cleaned(host, tmp_path):
    result = run(host)
    assert result.code == 0, result.output[-3000:]
    assert wait_until_ready(server(host, tmp_path), 10)
