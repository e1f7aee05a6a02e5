"""Where the kit's things lie, and the names that its containers share."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "kit"

NETWORK = "pystack-kit"
SUBNET = "172.31.77.0/24"
SERVER = "pystack-kit"
SERVER_ADDRESS = "172.31.77.2"

# A company's LAN, without a way out; its mirror is the same server.
LAN = "pystack-lan"
LAN_SUBNET = "172.31.78.0/24"
LAN_NAME = "mirror.bank.example"
LAN_SERVER_ADDRESS = "172.31.78.2"

# What the server's certificate is for.
SERVER_NAMES = (SERVER, LAN_NAME)
# Everything has the URL that Artifactory would give it.
URL_PATH = "artifactory"
BASE_URL = f"http://{SERVER}/{URL_PATH}"
BANNER = "conda stand-in from the offline kit: not conda"
