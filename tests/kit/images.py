"""Container images with systemd and sshd that stand in for droplets and servers.

An image named by an environment variable (DEB12_IMAGE, DEB13_IMAGE) is used as it is. The others are bootstrapped from
Debian's packages by mmdebstrap, from its own default mirror or KIT_DEBIAN_MIRROR, in one layer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kit.docker import docker, inspect

Log = Callable[[str], None]

# sshd takes its host keys at the first start, as cloud images do: no two hosts share them.
_SSH_KEYS = "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
_LEAVE_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "python3-apt", "sudo", "ca-certificates", "iproute2", "procps",
    "openssh-server",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image: its short name, Debian's suite, packages beyond a host's, and the tag under which it is found."""

    name: str
    suite: str
    more: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return os.environ.get(f"{self.name.upper()}_IMAGE") or f"pystack-{self.name}:local"

    @property
    def recipe(self) -> str:
        """Identifies what the image is built from."""
        return hashlib.sha256(repr((self.suite, _PACKAGES, self.more, _LEAVE_OUT, _SSH_KEYS)).encode()).hexdigest()[:16]


BROWSER = Image(
    "browser", "bookworm", ("chromium", "chromium-driver", "fonts-dejavu-core", "libnss3-tools", "python3-selenium")
)
IMAGES = {image.name: image for image in (Image("deb12", "bookworm"), Image("deb13", "trixie"))}


def is_current(image: Image) -> bool:
    found = inspect("image", image.tag)
    given = f"{image.name.upper()}_IMAGE" in os.environ
    return found is not None and (given or (found["Config"]["Labels"] or {}).get("pystack.recipe") == image.recipe)


# Several images may be wanted at once; apt can be used by one only.
_installing = threading.Lock()


def ensure(image: Image, log: Log) -> None:
    """Make the image exist in the engine. Raises RuntimeError saying what is missing."""
    if is_current(image):
        return
    if f"{image.name.upper()}_IMAGE" in os.environ:
        log(f"pulling {image.tag}")
        docker("pull", "--quiet", image.tag)
        return
    with _installing:
        _require_mmdebstrap(log)
    log(f"bootstrapping {image.tag} (Debian {image.suite}) from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="pystack-kit-") as directory:
        drop_in = Path(directory, "keys.conf")
        drop_in.write_text(_SSH_KEYS)
        archive = Path(directory, "root.tar")
        _run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(_PACKAGES + image.more)}",
            "--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEAVE_OUT),
            '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
            '--customize-hook=mkdir -p "$1"/etc/systemd/system/ssh.service.d',
            f"--customize-hook=copy-in {drop_in} /etc/systemd/system/ssh.service.d",
            image.suite, str(archive), *filter(None, [os.environ.get("KIT_DEBIAN_MIRROR")]),
        )  # fmt: skip
        docker(
            "import", "--change", 'CMD ["/lib/systemd/systemd"]',
            "--change", f"LABEL pystack.recipe={image.recipe}", str(archive), image.tag,
        )  # fmt: skip


def _require_mmdebstrap(log: Log) -> None:
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        log("installing mmdebstrap")
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "mmdebstrap")
        return
    raise RuntimeError(
        "mmdebstrap is missing. Install it (Debian, Ubuntu: sudo apt-get install mmdebstrap), or name images"
        " with systemd and Python in DEB12_IMAGE and DEB13_IMAGE."
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}")
