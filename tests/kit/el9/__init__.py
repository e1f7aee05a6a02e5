"""A stand-in for a host of EL 9: Debian 12 with EL's names and places, and RPMs of Debian's programs.

    root/             files of the image, as they lie in it
    finish.sh         the image's last step, in it
    names, places     Debian's package names and paths, and EL's
    spec              text of RPM spec files
    seed              the RPM database of what the image holds (runs in the image while it is made)
    repack            the RPM repositories (runs in a container of the image)
    repositories      what starts that container, on this machine

What runs in the image uses Python's standard library alone.
"""

from __future__ import annotations

from pathlib import Path

#: What a minimal server of EL 9 has beyond a host's packages, and what these tools need.
PACKAGES = (
    "dnf", "rpm", "python3-dnf", "python3-rpm", "dnf-plugins-core", "gpg", "curl", "cron", "netbase", "p11-kit",
    "tzdata",
)  # fmt: skip
#: Where the image keeps what makes it a stand-in.
HOME = "usr/lib/pystack-standin"
FINISH = f"sh /{HOME}/finish.sh"
_FOLDER = Path(__file__).parent
_MODULES = ("__init__", "names", "places", "seed", "spec")


def image_files() -> dict[str, bytes]:
    """The image's files by path: root/ as it is, and finish.sh with the modules that it runs."""
    root = _FOLDER / "root"
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    files[f"{HOME}/finish.sh"] = (_FOLDER / "finish.sh").read_bytes()
    return files | {f"{HOME}/el9/{name}.py": (_FOLDER / f"{name}.py").read_bytes() for name in _MODULES}
