"""The server that this scenario makes, as its tests meet it."""

import os
from pathlib import Path

from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import Server

from tests.support.hosts import address
from tests.support.play import play

PORT, BASE_URL = 9443, "/lab1/"
PASSWORD, ROTATED = "correct horse battery staple", "another horse, another battery"
COMPANY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
CONFIG = "/etc/jupyter/server"
OWN_CA = {"jupyter_ssl_certificate": "", "jupyter_ssl_private_key": "", "jupyter_ssl_password": ROTATED}


def run(host, variables=None, **options):
    return play(host, "jupyter_ssl", variables or {}, **options)


def server(host, tmp_path, port=PORT):
    """The server as a client sees it that trusts what lies on the host."""
    pem = tmp_path / "server.pem"
    pem.write_text(host.file(f"{CONFIG}/server.pem").content_string)
    return Server(address(host), port, BASE_URL, str(pem))


def process(host):
    return host.check_output("systemctl show --property MainPID --value jupyter")
