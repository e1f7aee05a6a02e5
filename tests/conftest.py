"""Makes the collection importable under its full name, and shows the progress of long tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for path in (ROOT, ROOT / ".ansible" / "collections"):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
