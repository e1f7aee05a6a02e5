"""serve.py FOLDER PEM: files over http on port 80 and, with key and certificate of a PEM file, over https on 443.

Runs in the kit's container, with nothing but Python's standard library.
"""

from __future__ import annotations

import ssl
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Handler(SimpleHTTPRequestHandler):
    """Clients ask for many small files: connections are kept."""

    protocol_version = "HTTP/1.1"
    # A handshake or a request that never ends holds its own thread only, and not for ever.
    timeout = 60


def start(folder: str, port: int, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    """Serve a folder in a thread of its own, over https when there is a context."""
    server = ThreadingHTTPServer(("", port), partial(Handler, directory=folder))
    if context:
        # The handshake is made by the connection's own thread, at its first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def context_of(pem: str) -> ssl.SSLContext:
    """With key and certificate of a PEM file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def main(folder: str, pem: str) -> None:
    start(folder, 80)
    start(folder, 443, context_of(pem))
    print("serving", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
