# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The module as Ansible calls it, against a double of a Jupyter server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.modules import jupyter_verify

from tests.support.jupyter_double import VERSION, Behaviour
from tests.support.pki import issue

if TYPE_CHECKING:
    from tests.unit.conftest import RunModule, StartDouble


@pytest.mark.parametrize("check", [False, True])
def test_a_good_server(run_module: RunModule, double: StartDouble, certificate: Path, check: bool) -> None:
    result = run_module(
        jupyter_verify,
        check=check,
        port=double().port,
        certificate=str(certificate),
        password=Behaviour.password,
        kernels=["py4fi"],
    )
    assert (result["changed"], result["version"]) == (False, VERSION)
    assert len(result["checks"]) == 6
    assert {(row["ok"], row["found"]) for row in result["checks"]} == {(True, "as expected")}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"open_to_anonymous": True}, "anonymous requests are refused (status 200, expected 403)"),
        ({"takes_any_password": True}, "a wrong password is refused (status 302, expected 401)"),
        ({"takes_no_password": True}, "the password lets in (status 401, then 403)"),
        ({"kernels": ["python3"]}, "the kernels are offered (missing: py4fi)"),
        ({"speaks_http": True}, "plain http is closed (an answer to http, expected none)"),
        ({"speaks_tls_1_1": True}, "TLS 1.1 is refused (a TLS 1.1 session, expected none)"),
    ],
)
def test_a_misbehaviour_fails_in_one_sentence(
    run_module: RunModule, double: StartDouble, certificate: Path, how: dict[str, Any], sentence: str
) -> None:
    running = double(base_url="/lab1/", **how)
    result = run_module(
        jupyter_verify,
        port=running.port,
        base_url="/lab1/",
        certificate=str(certificate),
        password=Behaviour.password,
        kernels=["py4fi"],
    )
    assert result["failed"] is True
    assert result["msg"] == f"https://127.0.0.1:{running.port}/lab1/ is up, but it does not hold that {sentence}"
    assert [row["ok"] for row in result["checks"]].count(False) == 1


def test_two_misbehaviours_fail_in_a_sentence_each(
    run_module: RunModule, double: StartDouble, certificate: Path
) -> None:
    running = double(open_to_anonymous=True, speaks_http=True)
    result = run_module(jupyter_verify, port=running.port, certificate=str(certificate))
    assert result["msg"].partition(" is up, but ")[2] == (
        "it does not hold that anonymous requests are refused (status 200, expected 403); "
        "it does not hold that plain http is closed (an answer to http, expected none)"
    )


def test_the_password_is_never_in_the_result(run_module: RunModule, double: StartDouble, certificate: Path) -> None:
    secret = "swordfish-7-canary"
    result = run_module(jupyter_verify, port=double().port, certificate=str(certificate), password=secret)
    assert result["failed"] is True
    assert secret not in str(result)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"silent": True}, "timed out"),
        ({"speaks_http": True, "speaks_tls": False}, "SSL"),
        ({"garbage": b"220 mail.example ESMTP\r\n"}, "the answer is not http"),
        ({"bodies": (("api", "[]"),)}, "the answer is not Jupyter's: it has no 'version'"),
        ({"bodies": (("api/kernelspecs", "[]"),)}, "the answer is not Jupyter's: it has no 'kernelspecs'"),
    ],
)
def test_no_good_answer(
    run_module: RunModule, double: StartDouble, certificate: Path, how: dict[str, Any], reason: str
) -> None:
    running = double(**how)
    result = run_module(
        jupyter_verify,
        port=running.port,
        certificate=str(certificate),
        timeout=1 if how.get("silent") else 0,
        password=Behaviour.password,
        kernels=["py4fi"],
    )
    assert result["msg"].startswith(f"https://127.0.0.1:{running.port}/ does not serve: ")
    assert reason in result["msg"]
    assert (result["failed"], result["checks"]) == (True, [])


def test_another_certificate(run_module: RunModule, double: StartDouble, certificate: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(issue("localhost").server_pem)
    running = double(other)
    result = run_module(
        jupyter_verify, port=running.port, certificate=str(certificate), timeout=0, password=Behaviour.password
    )
    assert "certificate verify failed" in result["msg"]
    assert running.requests == []


def test_an_ipv6_address_is_written_as_urls_do(run_module: RunModule, tmp_path: Path) -> None:
    missing = str(tmp_path / "server.pem")
    result = run_module(jupyter_verify, address="::1", port=1, certificate=missing)
    assert result["msg"] == f"https://[::1]:1/ does not serve: [Errno 2] No such file or directory: '{missing}'"
