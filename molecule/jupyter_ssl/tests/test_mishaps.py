"""What goes wrong with a server, and what a run says and repairs then. Each test leaves the server as it was.

Nothing of the distribution takes part, so one host is asked.
"""

from lab import CONFIG, PASSWORD, PORT, run, server

from tests.support.hosts import listeners

testinfra_hosts = ["docker://pystack-jupyter"]


def test_check_mode_says_what_would_change_and_changes_nothing(host):
    state = f"find {CONFIG} /home/jupyter -printf '%p %m %s %T@\\n' | grep -v -e runtime -e /.local | sort"
    before = host.check_output(state)
    variables = {
        "jupyter_ssl_password": "another horse, another battery",
        "jupyter_ssl_config": {"ServerApp": {"shutdown_no_activity_timeout": 7}},
    }
    result = run(host, variables, check=True, diff=True)
    assert result.code == 0, result.output[-3000:]
    assert result.changed >= 1
    assert result.says('- "shutdown_no_activity_timeout": 86400', '+ "shutdown_no_activity_timeout": 7')
    assert host.check_output(state) == before


def test_a_kernel_that_is_missing_is_named(host):
    result = run(host, {"jupyter_ssl_kernels": ["nowhere"]})
    assert result.code == 2
    assert result.says("the kernels are offered (missing: nowhere)", "Last lines of its journal")


def test_a_port_in_use_fails_and_no_other_port_is_taken(host, tmp_path):
    host.check_output("systemd-run --unit squatter python3 -m http.server 9444")
    try:
        result = run(host, {"jupyter_ssl_port": 9444, "jupyter_ssl_start_timeout": 8})
        assert result.code == 2
        assert result.says("does not serve", "9444")
        assert not any(address.endswith((":9443", ":9445")) for address in listeners(host))
    finally:
        host.check_output("systemctl stop squatter; systemctl reset-failed jupyter || true")
    repaired = run(host)
    assert repaired.code == 0, repaired.output[-3000:]
    assert server(host, tmp_path).login(PASSWORD).status == 302


def test_the_next_run_repairs_what_was_lost(host, tmp_path):
    files = " ".join(f"{CONFIG}/{name}" for name in ("server.pem", "jupyter_config.json", "jupyter_server_config.json"))
    host.check_output(f"rm {files}; systemctl kill --signal=SIGKILL jupyter; sleep 3")
    assert not any(address.endswith(f":{PORT}") for address in listeners(host)), "it started without its files"
    host.check_output("systemctl reset-failed jupyter || true")
    result = run(host)
    assert result.code == 0, result.output[-3000:]
    assert server(host, tmp_path).login(PASSWORD).status == 302
