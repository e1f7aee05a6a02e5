"""Paths that Debian's programs have built in, and EL's: python3 -m el9.places FOLDER... rewrites libraries in place.

OpenSSL, p11-kit and PAM are configured; curl, GnuTLS and systemd are not to be, so their binaries are changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: Debian's path -> EL's, which is not longer: the rest of its place in a binary is filled with zeros.
PLACES = {
    b"/etc/ssl/certs/ca-certificates.crt": b"/etc/pki/tls/certs/ca-bundle.crt",
    b"/etc/default/locale": b"/etc/locale.conf",
}
_ELF = b"\x7fELF"


def moved(data: bytes) -> bytes:
    """A binary with EL's paths in place of Debian's, of the same length; anything else as it is."""
    if not data.startswith(_ELF):
        return data
    for old, new in PLACES.items():
        # With the terminating zero: a longer path that starts alike is another one.
        data = data.replace(old + b"\0", new.ljust(len(old), b"\0") + b"\0")
    return data


def move_in(folder: Path) -> list[Path]:
    """Rewrite the binaries below a folder; give those that changed. Modes and owners stay."""
    changed = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(len(_ELF)) != _ELF:
                continue
        old = path.read_bytes()
        new = moved(old)
        if new != old:
            _replace(path, new)
            changed.append(path)
    return changed


def _replace(path: Path, data: bytes) -> None:
    """By a new file: programs that run keep the old library."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.chmod(path.stat().st_mode & 0o7777)
    new.replace(path)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for moved_path in move_in(Path(argument)):
            print(f"el9: EL's paths in {moved_path}")
