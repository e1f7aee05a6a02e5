"""A double of Jupyter Server's login contract: not Jupyter, but what a client meets of it, good or misbehaving.

GET api answers anybody; api/status and api/kernelspecs need a session, else 403; GET login sets the cookie _xsrf, and
POST login takes it with the password: 302 with a session's cookie, or 401.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

TLS_HANDSHAKE = b"\x16"
VERSION = "2.21.1"


@dataclass(frozen=True)
class Behaviour:
    """How the double behaves; by default as Jupyter should."""

    password: str = "correct horse battery staple"
    kernels: Sequence[str] = ("python3", "py4fi")
    base_url: str = "/"
    open_to_anonymous: bool = False
    takes_any_password: bool = False
    takes_no_password: bool = False
    #: The session's cookie is given, but does not open anything.
    forgets_sessions: bool = False
    speaks_http: bool = False
    speaks_tls: bool = True
    speaks_tls_1_1: bool = False
    #: Connections are accepted, and that is all.
    silent: bool = False
    #: The first so many requests for api get 503.
    starts_late: int = 0
    #: Instead of api's answer: raw bytes on the connection.
    garbage: bytes = b""
    #: Bodies instead of the usual ones, by path below the base.
    bodies: tuple[tuple[str, str], ...] = ()


class JupyterDouble(ThreadingHTTPServer):
    """Listens on loopback while it is entered. certificate: PEM file with key and chain."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, certificate: Path, behaviour: Behaviour = Behaviour()) -> None:
        self.behaviour = behaviour
        self.certificate = certificate
        self.sessions: set[str] = set()
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self.late = behaviour.starts_late
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def context(self) -> ssl.SSLContext:
        # Read anew for every connection, as Jupyter does: a renewed certificate needs no restart.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        if self.behaviour.speaks_tls_1_1:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
        return context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread a connection: look at its first byte, then speak TLS, http or nothing."""
        connection: socket.socket = request
        connection.settimeout(5)
        if self.behaviour.silent:
            self.stopped.wait(10)
            return
        first = connection.recv(1, socket.MSG_PEEK)
        if first == TLS_HANDSHAKE and self.behaviour.speaks_tls:
            connection = self.context().wrap_socket(connection, server_side=True)
        elif not self.behaviour.speaks_http:
            return
        try:
            super().finish_request(connection, client_address)
        finally:
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are refused or go away are no news."""

    def __enter__(self) -> JupyterDouble:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    server: JupyterDouble

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def cookies(self) -> dict[str, str]:
        return {key: morsel.value for key, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}

    def answer(self, status: int, body: str = "", *cookies: str) -> None:
        self.send_response(status)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def below_base(self) -> str | None:
        base = self.server.behaviour.base_url
        return self.path[len(base) :] if self.path.startswith(base) else None

    def do_GET(self) -> None:
        how, path = self.server.behaviour, self.below_base()
        self.server.requests.append(f"GET {self.path}")
        inside = self.cookies().get("session") in self.server.sessions and not how.forgets_sessions
        body = dict(how.bodies).get(path or "")
        if path == "api" and how.garbage:
            self.wfile.write(how.garbage)
        elif path == "api" and self.server.late > 0:
            self.server.late -= 1
            self.answer(503)
        elif path == "api":
            self.answer(200, body or json.dumps({"version": VERSION}))
        elif path == "login":
            self.answer(200, "<form/>", f"_xsrf={secrets.token_hex(8)}; Path={how.base_url}")
        elif path in ("api/status", "api/kernelspecs") and not (inside or how.open_to_anonymous):
            self.answer(403, json.dumps({"message": "Forbidden"}))
        elif path == "api/status":
            self.answer(200, json.dumps({"kernels": 0}))
        elif path == "api/kernelspecs":
            specs = {"default": "python3", "kernelspecs": {name: {} for name in how.kernels}}
            self.answer(200, body or json.dumps(specs))
        else:
            self.answer(404)

    def do_POST(self) -> None:
        how = self.server.behaviour
        self.server.requests.append(f"POST {self.path}")
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), strict_parsing=True)
        given = form.get("password", [""])[0].strip()
        if self.below_base() != "login" or form.get("_xsrf") != [self.cookies().get("_xsrf")]:
            self.answer(403)
        elif how.takes_any_password or (given == how.password and not how.takes_no_password):
            session = secrets.token_hex(8)
            self.server.sessions.add(session)
            self.answer(302, "", f"session={session}; HttpOnly; Path={how.base_url}; Secure")
        else:
            self.answer(401)
