"""What converge promises: a verified conda for everybody, with nothing configured but what was asked for."""

import json

import pytest

from tests.support.hosts import as_nobody, login_shell, unreadable
from tests.support.play import CHANNELS, kit_variables

testinfra_hosts = ["docker://pystack-miniconda", "docker://pystack-miniconda-el9"]

PREFIX = "/opt/miniconda3"
FILE = "Miniconda3-kit_26.5.3-Linux-x86_64.sh"


def test_the_marker_is_the_pin(host):
    marker = json.loads(host.file(f"{PREFIX}/.pystack-installer.json").content_string)
    assert marker == {"file": FILE, "sha256": kit_variables()["kit_installers"][FILE]}


@pytest.mark.parametrize("directory", [PREFIX, "/opt/conda", "/etc/conda"])
def test_everything_is_roots_and_readable_for_all(host, directory):
    assert unreadable(host, directory) == []


def test_an_ordinary_user_runs_it(host):
    assert as_nobody(host, f"{PREFIX}/bin/conda --version 2>/dev/null") == "conda 26.5.3"


def test_conda_knows_the_configured_channel_and_no_other(host):
    info = json.loads(as_nobody(host, f"{PREFIX}/bin/conda info --json 2>/dev/null"))
    assert {url.rsplit("/", 1)[0] for url in info["channels"]} == {f"{CHANNELS}/tiny"}
    assert info["envs_dirs"][0] == "/opt/conda/envs"
    assert info["pkgs_dirs"][0] == "/opt/conda/pkgs"


def test_a_channel_that_is_not_on_the_list_is_refused(host):
    ask = f"export HOME=$(mktemp -d); {PREFIX}/bin/conda create --json --dry-run -n x --override-channels"
    assert json.loads(as_nobody(host, f"{ask} -c tiny six 2>/dev/null"))["success"] is True
    refused = json.loads(as_nobody(host, f"{ask} -c full six 2>/dev/null || :"))
    assert refused["exception_name"] == "ChannelNotAllowed"


def test_a_login_shell_finds_conda_and_no_environment_is_active(host):
    seen = login_shell(host, "set -u; type -t conda; conda --version 2>/dev/null; echo ${CONDA_DEFAULT_ENV:-none}")
    assert seen.splitlines() == ["function", "conda 26.5.3", "none"]
    assert "u" in login_shell(host, "set -eu; . /etc/profile.d/pystack-conda.sh; conda activate base; echo $-")


def test_no_terms_of_service_were_accepted(host):
    places = "/etc/conda /var/lib/conda /root/.conda /opt/miniconda3/conda-meta"
    assert host.run(f"find {places} -ipath '*/tos*'").stdout == ""
