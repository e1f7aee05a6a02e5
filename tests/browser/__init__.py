"""A person at a browser: Debian's headless Chromium in a container of its own, on the network of the hosts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.kit import images
from tests.kit.paths import NETWORK, ROOT


def visit(url: str, password: str, ca: str, *, kernel: str, artifact: str) -> str:
    """Log in at url as a person would, work there, and return what was seen, a line a step.

    ca: PEM text of the authority that the browser trusts, and no other than its own. kernel: display name.
    The screenshot lands in .artifacts/<artifact>.png. Raises AssertionError with the steps when one fails.
    """
    images.ensure(images.BROWSER, lambda message: print(message, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="pystack-browser-") as directory:
        shared = Path(directory)
        (shared / "ca.crt").write_text(ca)
        (shared / "password").write_text(password)
        shutil.copy(Path(__file__).with_name("person.py"), shared)
        done = subprocess.run(
            ["docker", "run", "--rm", "--network", NETWORK, "--shm-size", "512m", "--volume", f"{shared}:/shared",
             images.BROWSER.tag, "python3", "/shared/person.py", url, kernel],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        artifacts = ROOT / ".artifacts"
        artifacts.mkdir(exist_ok=True)
        for picture in shared.glob("*.png"):
            shutil.copy(picture, artifacts / f"{artifact}{'' if picture.stem == 'lab' else '-' + picture.stem}.png")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout
