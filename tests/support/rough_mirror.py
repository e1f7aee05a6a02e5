"""A channel on a host itself, from which things go wrong on purpose. Runs there, under Python 3.9 or newer.

rough_mirror.py copy URL FOLDER                        copy the channel at URL
rough_mirror.py tamper FOLDER NAME                     change one byte of the package files whose names begin so
rough_mirror.py serve FOLDER PORT [--die-after N]      serve it on loopback; end after N package files
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import sys
import threading
import urllib.request
from pathlib import Path

SUBDIRS = ("linux-64", "noarch")


def copy(url: str, folder: Path) -> None:
    """All packages of a small channel, with its index."""
    for subdir in SUBDIRS:
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        index = fetch(f"{url}/{subdir}/repodata.json")
        for name in json.loads(index)["packages.conda"]:
            (folder / subdir / name).write_bytes(fetch(f"{url}/{subdir}/{name}"))
        (folder / subdir / "repodata.json").write_bytes(index)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the kit's own server
        return bytes(answer.read())


def tamper(folder: Path, name: str) -> None:
    """What the index says stays as it is."""
    for path in folder.glob(f"*/{name}-*.conda"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files until its patience is at an end, which it then tells nobody."""

    left = -1
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path.endswith(".conda"):
            with Handler.lock:
                if Handler.left == 0:
                    os._exit(0)
                Handler.left -= 1
        super().do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


def serve(folder: str, port: int, die_after: int) -> None:
    Handler.left = die_after
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    process = os.fork()  # the port is open already
    if process:
        print(process)
        return
    os.setsid()
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    server.serve_forever()


def main(words: list[str]) -> None:
    command, *rest = words
    if command == "copy":
        copy(rest[0], Path(rest[1]))
    elif command == "tamper":
        tamper(Path(rest[0]), rest[1])
    else:
        serve(rest[0], int(rest[1]), int(rest[3]) if len(rest) > 2 else -1)


if __name__ == "__main__":
    main(sys.argv[1:])
