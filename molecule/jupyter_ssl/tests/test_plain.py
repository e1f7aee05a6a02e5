"""Without systemd: everything is configured, and the start command that the role names does the rest."""

import json
import os
from pathlib import Path

from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import Server, wait_until_ready

from tests.support.hosts import listeners

HOST = "pystack-jupyter-plain"
testinfra_hosts = [f"docker://{HOST}"]

START = "/etc/jupyter/server/start"


def test_nothing_was_started_or_left_for_systemd(host):
    assert listeners(host) == []
    assert not host.file("/etc/systemd/system/jupyter.service").exists


def test_the_start_command_serves(host, tmp_path):
    host.check_output(f"sh -c 'runuser -u jupyter -- {START} >/tmp/jupyter.log 2>&1 & echo $! >/tmp/jupyter.pid'")
    try:
        pem = tmp_path / "server.pem"
        pem.write_text(host.file("/etc/jupyter/server/server.pem").content_string)
        server = Server("172.31.77.17", 8888, "/", str(pem))
        wait_until_ready(server, 60)
        credentials = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "credentials", HOST, "jupyter.password")
        assert server.login("not the password").status == 401
        session = server.login(credentials.read_text().strip())
        assert session.status == 302
        offered = json.loads(server.request("GET", "api/kernelspecs", cookies=session.cookies).body)["kernelspecs"]
        assert {"lab", "next"} <= set(offered)
    finally:
        host.run("pkill -u jupyter")


def test_two_pythons_stand_side_by_side(host):
    versions = [host.check_output(f"/opt/conda/envs/{name}/bin/python --version") for name in ("lab", "next")]
    assert [version.rsplit(".", 1)[0] for version in versions] == ["Python 3.11", "Python 3.13"]
    for name in ("lab", "next"):
        host.check_output(f"/opt/conda/envs/{name}/bin/python -m ipykernel_launcher --version")


def test_the_start_command_refuses_without_a_password(host):
    host.check_output("mv /etc/jupyter/server/jupyter_config.json /root/kept")
    try:
        refused = host.run(f"runuser -u jupyter -- {START}")
        assert refused.rc == 1
        assert "jupyter_config.json is missing or unreadable, not starting" in refused.stderr
    finally:
        host.check_output("mv /root/kept /etc/jupyter/server/jupyter_config.json")
