# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The client against a double of Jupyter's login contract that behaves and misbehaves."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils import jupyter_client
from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import (
    Check,
    Server,
    leaf_of,
    speaks_http,
    speaks_tls_1_1,
    verify,
    wait_until_ready,
)

from tests.support.jupyter_double import VERSION, Behaviour, JupyterDouble
from tests.support.pki import DAY, NOW, Pair, issue

if TYPE_CHECKING:
    from tests.unit.conftest import StartDouble

PASSWORD = Behaviour.password
ANONYMOUS, WRONG, HTTP, TLS = (
    "anonymous requests are refused",
    "a wrong password is refused",
    "plain http is closed",
    "TLS 1.1 is refused",
)
ENTERS, KERNELS = "the password lets in", "the kernels are offered"


def client(double: JupyterDouble, certificate: Path) -> Server:
    return Server("127.0.0.1", double.port, double.behaviour.base_url, str(certificate))


def failures(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.found for check in checks if not check.ok}


# ---------------------------------------------------------------- a good server


@pytest.mark.parametrize("base_url", ["/", "/lab1/"])
def test_a_good_server_passes_every_check(double: StartDouble, certificate: Path, base_url: str) -> None:
    server = client(double(base_url=base_url), certificate)
    version, checks = verify(server, PASSWORD, ["py4fi", "python3"], 5)
    assert version == VERSION
    assert checks == [Check(name, True, "as expected") for name in (ANONYMOUS, WRONG, HTTP, TLS, ENTERS, KERNELS)]


def test_without_a_password_nobody_logs_in(double: StartDouble, certificate: Path) -> None:
    running = double()
    _, checks = verify(client(running, certificate), None, ["py4fi"], 5)
    assert [check.name for check in checks] == [ANONYMOUS, WRONG, HTTP, TLS]
    assert running.sessions == set()


@pytest.mark.parametrize("password", ["a&b=c%20+d e", "pässwort ☃ 12"])
def test_every_character_of_a_password_arrives(double: StartDouble, certificate: Path, password: str) -> None:
    answer = client(double(password=password), certificate).login(password)
    assert answer.status == 302
    assert "session" in answer.cookies


def test_a_login_brings_the_token_that_the_page_gave(double: StartDouble, certificate: Path) -> None:
    running = double()
    server = client(running, certificate)
    assert server.request("POST", "login", f"_xsrf=guess&password={PASSWORD}").status == 403
    assert server.login("not it").status == 401
    assert running.requests == ["POST /login", "GET /login", "POST /login"]


def test_a_server_that_starts_late_is_waited_for(double: StartDouble, certificate: Path) -> None:
    assert wait_until_ready(client(double(starts_late=2), certificate), 5) == VERSION


def test_a_renewed_certificate_is_trusted_at_once(double: StartDouble, certificate: Path) -> None:
    server = client(double(), certificate)
    certificate.write_text(issue("localhost").server_pem)
    assert wait_until_ready(server, 5) == VERSION


def test_the_leaf_alone_is_trusted_whatever_else_is_in_the_file(double: StartDouble, tmp_path: Path) -> None:
    authority = issue("Authority", ca=True)
    served, trusted = tmp_path / "served.pem", tmp_path / "trusted.pem"
    leaf = issue(issuer=authority)
    served.write_text(leaf.server_pem)
    running = double(served)
    trusted.write_text("# Schlüssel und Kette\n" + leaf.server_pem + authority.pem)
    assert wait_until_ready(client(running, trusted), 5) == VERSION
    # A sibling by the same authority is somebody else.
    trusted.write_text(issue(issuer=authority).pem + authority.pem)
    with pytest.raises(OSError, match="certificate verify failed"):
        wait_until_ready(client(running, trusted), 0)


# ---------------------------------------------------------------- misbehaviour, one sentence each


@pytest.mark.parametrize(
    ("how", "name", "found"),
    [
        ({"open_to_anonymous": True}, ANONYMOUS, "status 200, expected 403"),
        ({"takes_any_password": True}, WRONG, "status 302, expected 401"),
        ({"takes_no_password": True}, ENTERS, "status 401, then 403"),
        ({"forgets_sessions": True}, ENTERS, "status 302, then 403"),
        ({"kernels": ["python3"]}, KERNELS, "missing: a kernel, py4fi"),
        ({"speaks_http": True}, HTTP, "an answer to http, expected none"),
        ({"speaks_tls_1_1": True}, TLS, "a TLS 1.1 session, expected none"),
    ],
)
def test_a_misbehaviour_is_found_and_nothing_else(
    double: StartDouble, certificate: Path, how: dict[str, Any], name: str, found: str
) -> None:
    wanted = ["py4fi", "a kernel"] if name == KERNELS else ["python3"]
    _, checks = verify(client(double(**how), certificate), PASSWORD, wanted, 5)
    assert failures(checks) == {name: found}


def test_all_misbehaviours_are_found_together(double: StartDouble, certificate: Path) -> None:
    running = double(open_to_anonymous=True, takes_any_password=True, speaks_http=True, speaks_tls_1_1=True, kernels=[])
    _, checks = verify(client(running, certificate), PASSWORD, ["py4fi"], 5)
    assert list(failures(checks)) == [ANONYMOUS, WRONG, HTTP, TLS, KERNELS]


# ---------------------------------------------------------------- no good answer


def no_answer(server: Server, timeout: float = 0) -> str:
    started = time.monotonic()
    with pytest.raises(OSError, match=r".") as error:
        verify(server, PASSWORD, [], timeout)
    assert time.monotonic() - started < timeout + 2
    return str(error.value)


def test_another_certificate(double: StartDouble, certificate: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(issue("localhost").server_pem)
    running = double(other)
    found = no_answer(client(running, certificate))
    assert found.startswith("no good answer within 0 s; the last: ")
    assert "certificate verify failed" in found
    assert running.requests == [], "nothing is said to a stranger"


def test_an_expired_certificate(double: StartDouble, tmp_path: Path) -> None:
    expired = tmp_path / "expired.pem"
    expired.write_text(issue(start=NOW - 9 * DAY, end=NOW - DAY).server_pem)
    assert "certificate has expired" in no_answer(client(double(expired), expired))


def test_plain_http_only(double: StartDouble, certificate: Path) -> None:
    found = no_answer(client(double(speaks_http=True, speaks_tls=False), certificate))
    assert found.startswith("no good answer within 0 s; the last: [SSL")


def test_nobody_listens(double: StartDouble, certificate: Path) -> None:
    with JupyterDouble(certificate) as gone:
        server = client(gone, certificate)
    assert no_answer(server, 0.3) == "no good answer within 0.3 s; the last: [Errno 111] Connection refused"


def test_a_server_that_never_answers_is_given_up_in_time(double: StartDouble, certificate: Path) -> None:
    started = time.monotonic()
    found = no_answer(client(double(silent=True), certificate), 0.5)
    assert "timed out" in found
    assert 0.5 <= time.monotonic() - started < 1.5, "a request takes no longer than what is left"


def test_questions_without_an_answer_end(
    double: StartDouble, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jupyter_client, "_SECONDS", 0.2)
    running = double(silent=True)
    started = time.monotonic()
    assert not speaks_http("127.0.0.1", running.port)
    assert not speaks_tls_1_1("127.0.0.1", running.port)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"starts_late": 99}, "GET /api gives 503"),
        ({"base_url": "/lab1/"}, "GET /api gives 404"),
        ({"garbage": b"220 mail.example ESMTP\r\n"}, "the answer is not http: BadStatusLine("),
        *(
            ({"bodies": (("api", body),)}, "the answer is not Jupyter's: it has no 'version'")
            for body in ("<html>", "{}", "[]", "1", '"text"')
        ),
    ],
)
def test_somebody_else_on_the_port(double: StartDouble, certificate: Path, how: dict[str, Any], reason: str) -> None:
    server = Server("127.0.0.1", double(**how).port, "/", str(certificate))
    assert no_answer(server).startswith(f"no good answer within 0 s; the last: {reason}")


@pytest.mark.parametrize("body", ["<html>", '{"default": "python3"}', "[]"])
def test_kernels_that_cannot_be_read(double: StartDouble, certificate: Path, body: str) -> None:
    server = client(double(bodies=(("api/kernelspecs", body),)), certificate)
    with pytest.raises(OSError, match="the answer is not Jupyter's: it has no 'kernelspecs'"):
        verify(server, PASSWORD, ["py4fi"], 5)


# ---------------------------------------------------------------- the file on disk


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no certificate"),
        ("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", "holds a damaged certificate"),
        ("-----BEGIN CERTIFICATE-----\nMÜÜ\n-----END CERTIFICATE-----\n", "holds a damaged certificate"),
    ],
)
def test_a_file_without_a_certificate_is_named_without_waiting(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "server.pem"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(OSError, match=problem) as error:
        verify(Server("127.0.0.1", 1, "/", str(path)), PASSWORD, [], 30)
    assert str(error.value) == f"{path} {problem}"
    assert time.monotonic() - started < 2


def test_a_missing_file_is_named_without_waiting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        wait_until_ready(Server("127.0.0.1", 1, "/", str(tmp_path / "nowhere")), 30)


def test_the_leaf_is_the_first_certificate(tmp_path: Path, pair: Pair) -> None:
    path = tmp_path / "chain.pem"
    path.write_text(pair.key_pem() + "Prüfstelle\n" + pair.pem.rstrip() + "\n" + issue().pem)
    assert leaf_of(str(path)) == pair.pem


def test_nothing_older_than_tls_1_2_is_spoken(certificate: Path) -> None:
    assert Server("127.0.0.1", 1, "/", str(certificate)).tls().minimum_version >= ssl.TLSVersion.TLSv1_2
