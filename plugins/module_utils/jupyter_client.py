# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""A small client of a Jupyter server's login and REST interface. Standard library only, Python 3.9 and newer.

Source: Jupyter Server's REST API (https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html) and its
password login: GET /login sets the cookie _xsrf, POST /login takes it with the password, 302 lets in, 401 does not.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import time
import urllib.parse
import warnings
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

_SECONDS = 10.0
# OpenSSL's X509_V_FLAG_PARTIAL_CHAIN: a trusted certificate need not be a root. Python names it from 3.10 on.
_PARTIAL_CHAIN = 0x80000


@dataclass(frozen=True)
class Check:
    """One row of a verification."""

    name: str
    ok: bool
    found: str


@dataclass(frozen=True)
class Answer:
    """Status and body of a response, and the cookies it set."""

    status: int
    body: bytes
    cookies: dict[str, str]


@dataclass(frozen=True)
class Server:
    """Where a server listens: IP address, TCP port, base path (slashes around it), PEM file of its certificate."""

    address: str
    port: int
    base_url: str
    certificate: str

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the certificate on disk and no other; the name is not asked, the address is given.

        Raises OSError when there is no certificate on disk.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= _PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=leaf_of(self.certificate))
        except (ssl.SSLError, TypeError) as error:
            raise OSError(f"{self.certificate} holds a damaged certificate") from error
        return context

    def request(
        self,
        method: str,
        path: str,
        body: str | None = None,
        cookies: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """One request below the base path. Raises OSError (ssl.SSLError among them) when there is no answer."""
        connection = http.client.HTTPSConnection(
            self.address, self.port, timeout=seconds or _SECONDS, context=self.tls()
        )
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in (cookies or {}).items())} if cookies else {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, self.base_url + path, body, headers)
            response = connection.getresponse()
            content = response.read()
            jar: dict[str, str] = {}
            for line in response.headers.get_all("Set-Cookie") or []:
                jar.update({k: v.value for k, v in SimpleCookie(line).items()})
            return Answer(response.status, content, jar)
        except (http.client.HTTPException, CookieError) as error:
            raise OSError(f"the answer is not http: {error!r}") from error
        finally:
            connection.close()

    def login(self, password: str) -> Answer:
        """Log in; status 302 and session cookies on success, 401 for a wrong password."""
        page = self.request("GET", "login")
        form = urllib.parse.urlencode({"_xsrf": page.cookies.get("_xsrf", ""), "password": password})
        answer = self.request("POST", "login", form, page.cookies)
        return Answer(answer.status, answer.body, {**page.cookies, **answer.cookies})


def leaf_of(pem_file: str) -> str:
    """The first certificate of a PEM file. Raises OSError when there is none."""
    with open(pem_file, encoding="ascii", errors="replace") as file:
        text = file.read()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start, stop = text.find(begin), text.find(end)
    if start < 0 or stop < start:
        raise OSError(f"{pem_file} holds no certificate")
    return text[start : stop + len(end)] + "\n"


def _member(answer: Answer, name: str) -> Any:
    """A member of the JSON object in an answer. Raises OSError when something else is in it."""
    try:
        return json.loads(answer.body)[name]
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"the answer is not Jupyter's: it has no {name!r}") from error


def wait_until_ready(server: Server, timeout: float) -> str:
    """The server's version as soon as it answers. Raises OSError, saying what was wrong last, after timeout seconds."""
    server.tls()  # A certificate that is not there does not come by waiting.
    deadline = time.monotonic() + timeout
    while True:
        try:
            answer = server.request("GET", "api", seconds=min(_SECONDS, max(deadline - time.monotonic(), 0.1)))
            if answer.status == 200:
                return str(_member(answer, "version"))
            error = OSError(f"GET {server.base_url}api gives {answer.status}")
        except OSError as problem:
            error = problem
        if time.monotonic() > deadline:
            raise OSError(f"no good answer within {timeout:g} s; the last: {error}")
        time.sleep(0.2)


def speaks_http(address: str, port: int) -> bool:
    """Whether plain http is answered."""
    try:
        with socket.create_connection((address, port), timeout=_SECONDS) as plain:
            plain.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            start = b""
            while len(start) < 5 and (more := plain.recv(5 - len(start))):
                start += more
            return start == b"HTTP/"
    except OSError:
        return False


def speaks_tls_1_1(address: str, port: int) -> bool:
    """Whether TLS 1.1 is agreed to (RFC 8996 forbids it).

    The client's own security level would refuse first and hide the server's answer: it is lowered for this question.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            # Python finds these versions obsolete: that is the point.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection((address, port), timeout=_SECONDS) as plain, context.wrap_socket(plain):
            return True
    except (OSError, ValueError):
        return False


def verify(server: Server, password: str | None, kernels: list[str], timeout: float) -> tuple[str, list[Check]]:
    """Version of the server and one row a check. Raises OSError when it does not serve within timeout seconds."""
    version = wait_until_ready(server, timeout)
    anonymous = server.request("GET", "api/status").status
    wrong = server.login(secrets.token_hex(16)).status
    http, old_tls = speaks_http(server.address, server.port), speaks_tls_1_1(server.address, server.port)
    checks = [
        Check("anonymous requests are refused", anonymous == 403, f"status {anonymous}, expected 403"),
        Check("a wrong password is refused", wrong == 401, f"status {wrong}, expected 401"),
        Check("plain http is closed", not http, "an answer to http, expected none"),
        Check("TLS 1.1 is refused", not old_tls, "a TLS 1.1 session, expected none"),
    ]
    if password is not None:
        session = server.login(password)
        inside = server.request("GET", "api/status", cookies=session.cookies).status
        entered = (session.status, inside) == (302, 200)
        checks.append(Check("the password lets in", entered, f"status {session.status}, then {inside}"))
        if kernels and inside == 200:
            answer = server.request("GET", "api/kernelspecs", cookies=session.cookies)
            missing = sorted(set(kernels) - set(_member(answer, "kernelspecs")))
            checks.append(Check("the kernels are offered", not missing, f"missing: {', '.join(missing)}"))
    return version, [check if not check.ok else Check(check.name, True, "as expected") for check in checks]
