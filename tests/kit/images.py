"""Container images with systemd and sshd that stand in for droplets and servers.

An image named by an environment variable (DEB12_IMAGE, DEB13_IMAGE, EL9_IMAGE) is used as it is. The others are
bootstrapped from Debian's packages by mmdebstrap, from its own default mirror or KIT_DEBIAN_MIRROR, in one layer.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit import el9
from tests.kit.docker import docker, inspect

Log = Callable[[str], None]

_LEAVE_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "sudo",
    "ca-certificates",
    "iproute2",
    "procps",
    "openssh-server",
)
# sshd takes its host keys at the first start, as cloud images do: no two hosts share them.
_DEBIAN_FILES = {
    "etc/systemd/system/ssh.service.d/keys.conf": (
        b"[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
    )
}
_DEBIAN_FINISH = "rm -f /etc/ssh/ssh_host_*"


@dataclass(frozen=True)
class Image:
    """An image, and the tag under which it is found.

    suite: Debian's; more: packages beyond a host's; files: what is laid over them, by path, before the shell command
    finish runs in the image.
    """

    name: str
    suite: str
    more: tuple[str, ...] = ("python3-apt",)
    files: Mapping[str, bytes] = field(default_factory=lambda: _DEBIAN_FILES)
    finish: str = _DEBIAN_FINISH

    @property
    def variable(self) -> str:
        """The environment variable that names another image."""
        return f"{self.name.upper()}_IMAGE"

    @property
    def tag(self) -> str:
        return os.environ.get(self.variable) or f"pystack-{self.name}:local"

    @property
    def given(self) -> bool:
        """Whether the environment names an image, which is none of the kit's."""
        return bool(os.environ.get(self.variable))

    @property
    def recipe(self) -> str:
        """Identifies what the image is built from."""
        parts = (self.suite, _PACKAGES, self.more, _LEAVE_OUT, self.finish, sorted(self.files.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


BROWSER = Image(
    "browser",
    "bookworm",
    ("python3-apt", "chromium", "chromium-driver", "fonts-dejavu-core", "libnss3-tools", "python3-selenium"),
)
EL9 = Image("el9", "bookworm", el9.PACKAGES, el9.image_files(), el9.FINISH)
IMAGES = {image.name: image for image in (Image("deb12", "bookworm"), Image("deb13", "trixie"), EL9)}


def is_current(image: Image) -> bool:
    found = inspect("image", image.tag)
    return found is not None and (
        image.given or (found["Config"]["Labels"] or {}).get("pystack.recipe") == image.recipe
    )


# Several images may be wanted at once; apt can be used by one only.
_installing = threading.Lock()


def ensure(image: Image, log: Log) -> None:
    """Make the image exist in the engine. Raises RuntimeError saying what is missing."""
    if is_current(image):
        return
    if image.given:
        log(f"pulling {image.tag}")
        docker("pull", "--quiet", image.tag)
        return
    with _installing:
        _require_mmdebstrap(log)
    log(f"bootstrapping {image.tag} (Debian {image.suite}) from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="pystack-kit-") as directory:
        files = Path(directory, "files.tar")
        files.write_bytes(archive(image.files))
        root = Path(directory, "root.tar")
        _run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(_PACKAGES + image.more)}",
            "--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEAVE_OUT),
            f"--customize-hook=tar-in {files} /", f'--customize-hook=chroot "$1" sh -c "{image.finish}"',
            image.suite, str(root), *filter(None, [os.environ.get("KIT_DEBIAN_MIRROR")]),
        )  # fmt: skip
        docker(
            "import", "--change", 'CMD ["/lib/systemd/systemd"]',
            "--change", f"LABEL pystack.recipe={image.recipe}", str(root), image.tag,
        )  # fmt: skip


def archive(files: Mapping[str, bytes]) -> bytes:
    """Files by path as a tar of root's: readable by all, scripts executable. Folders are those that the image has."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for path, data in sorted(files.items()):
            item = tarfile.TarInfo(path)
            item.size, item.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
            tar.addfile(item, io.BytesIO(data))
    return raw.getvalue()


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
        " with systemd and Python in DEB12_IMAGE, DEB13_IMAGE and EL9_IMAGE."
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}")
