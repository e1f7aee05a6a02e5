"""Where the kit's things lie, and the names that its containers share."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "kit"

NETWORK = "pystack-kit"
SUBNET = "172.31.77.0/24"
SERVER = "pystack-kit"
SERVER_ADDRESS = "172.31.77.2"
BASE_URL = f"http://{SERVER}"
BANNER = "conda stand-in from the offline kit: not conda"
