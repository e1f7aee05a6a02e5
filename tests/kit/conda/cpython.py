"""Debian's CPython as conda's `python` package.

PyPI and Debian are the only sources, and Debian 12 and 13 ship 3.11 and 3.13: there is no 3.12 to be had, so
3.13 takes its place as the second interpreter. The 3.13 of Debian 13 needs that release's glibc, and its
package says so (`__glibc`): a solve on Debian 12 is refused, which beats an interpreter that cannot start.

The libraries that the interpreter needs beyond glibc travel with it, found through a relative RUNPATH.
Debian changes where modules are looked for (dist-packages, /usr/local). Two changes restore the usual layout:
`sysconfig` is edited, and because `site` is frozen into the binary, a `sitecustomize` adds site-packages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .fetch import run
from .package import Package, Record

SKIPPED_FOLDERS = frozenset({"__pycache__", "ensurepip", "idlelib", "test", "tkinter", "turtledemo"})
SKIPPED_FILES = frozenset({"EXTERNALLY-MANAGED", "sitecustomize.py"})
SKIPPED_MODULES = ("_ctypes_test", "_test", "_tkinter", "_xxtest", "nis.", "ossaudiodev", "xxlimited")

#: Run in a container of the Debian release: unpack the interpreter's packages, copy the libraries it loads.
COLLECT = """\
set -eu
cd /out
apt-get update -qq
apt-get download -qq python{short}-minimal libpython{short}-minimal libpython{short}-stdlib >/dev/null
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
mkdir libs
for file in tree/usr/bin/python{short} tree/usr/lib/python{short}/lib-dynload/*.so; do
    case "$file" in */nis.*) continue ;; esac
    ldd "$file" | awk '$2 == "=>" && $3 ~ /^\\// {{print $1, $3}}'
done | sort -u | while read -r soname path; do
    case "$soname" in libc.so.*|libm.so.*|libresolv.so.*) continue ;; esac
    cp -L "$path" "libs/$soname"
done
tree/usr/bin/python{short} -c 'import platform; print(platform.python_version())' >version
"""

SITECUSTOMIZE = '''\
"""Look for modules in site-packages, where the frozen `site` of Debian's build does not."""

import os
import site
import sys

_folder = os.path.join("lib", "python%d.%d" % sys.version_info[:2], "site-packages")


def _site_packages(prefixes=None):
    return [os.path.join(prefix, _folder) for prefix in dict.fromkeys(prefixes or site.PREFIXES)]


site.getsitepackages = _site_packages
for _path in _site_packages():
    if os.path.isdir(_path) and _path not in sys.path:
        site.addsitedir(_path)
'''


@dataclass(frozen=True)
class Source:
    """Where one Python series comes from: a Debian image, by its key in `images`."""

    short: str
    image: str


SOURCES = (Source("3.11", "deb12"), Source("3.13", "deb13"))


def collect(source: Source, image: str, work: Path) -> Path:
    """Unpack Debian's interpreter and its libraries below `work`; done once for each image."""
    identity = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", image],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    folder = work / "cpython" / f"{source.short}-{identity.removeprefix('sha256:')[:12]}"
    if (folder / "version").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name = f"pystack-kit-cpython-{source.short}-{folder.name[-6:]}"
    script = COLLECT.format(short=source.short)
    run(["docker", "run", "--rm", "--name", name, "-v", f"{folder.resolve()}:/out", image, "sh", "-c", script])
    return folder


def python_package(source: Source, folder: Path, patchelf: str | None, channel: Path) -> Record:
    """Make the `python` package of a collected interpreter."""
    if patchelf is None:
        raise RuntimeError("making the python package needs patchelf")
    builder = _Builder(source.short, folder, patchelf)
    return builder.build().write(channel)


class _Builder:
    def __init__(self, short: str, folder: Path, patchelf: str):
        self.short, self.folder, self.patchelf = short, folder, patchelf
        self.library = f"lib/python{short}"
        self.glibc = (2, 0)
        self.package = Package(
            name="python",
            version=(folder / "version").read_text().strip(),
            build=f"0_cp{short.replace('.', '')}",
            depends=(),
            license="PSF-2.0",
            summary="repackaged from Debian's CPython by the pystack.infra offline kit",
            index_extra={"python_site_packages_path": f"{self.library}/site-packages"},
        )

    def build(self) -> Package:
        """Fill the package; what it needs of glibc is known last."""
        tree = self.folder / "tree/usr"
        self._add_binary(tree / f"bin/python{self.short}", f"bin/python{self.short}", "$ORIGIN/../lib")
        for alias in ("python", "python3"):
            self.package.link(f"bin/{alias}", f"python{self.short}")
        for library in sorted((self.folder / "libs").iterdir()):
            self._add_binary(library, f"lib/{library.name}", "$ORIGIN")
        self._add_library(tree / self.library)
        self.package.add(f"{self.library}/sitecustomize.py", SITECUSTOMIZE.encode())
        self.package.add(f"{self.library}/site-packages/README.txt", b"Packages of this environment.\n")
        self.package.depends = ["__glibc >={}.{},<3.0.a0".format(*self.glibc)]
        return self.package

    def _add_library(self, root: Path) -> None:
        for file in sorted(root.rglob("*")):
            relative = file.relative_to(root)
            skipped = SKIPPED_FOLDERS.intersection(relative.parts) or relative.name in SKIPPED_FILES
            if skipped or file.is_dir() or relative.name.startswith(SKIPPED_MODULES):
                continue
            path = f"{self.library}/{relative}"
            if file.is_symlink():
                self.package.link(path, file.readlink().as_posix())
            elif file.suffix == ".so":
                self._add_binary(file, path, "$ORIGIN/../..")
            else:
                self.package.add(path, self._without_debian_layout(relative, file.read_bytes()))

    def _without_debian_layout(self, relative: Path, data: bytes) -> bytes:
        """Make `sysconfig` prefer the upstream layout over Debian's /usr/local."""
        if relative.as_posix() not in ("sysconfig.py", "sysconfig/__init__.py"):
            return data
        changed = data.replace(b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'")
        if changed == data:
            raise RuntimeError(f"sysconfig of Python {self.short} is not as expected")
        return changed

    def _add_binary(self, source: Path, path: str, run_path: str) -> None:
        copy = self.folder / "patched"
        shutil.copyfile(source, copy)
        run([self.patchelf, "--set-rpath", run_path, str(copy)])
        data = copy.read_bytes()
        copy.unlink()
        self.glibc = max(self.glibc, needed_glibc(data))
        self.package.add(path, data, 0o755)


def needed_glibc(binary: bytes) -> tuple[int, int]:
    """The newest glibc symbol version that a binary names."""
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", binary)
    return max(((int(major), int(minor)) for major, minor in versions), default=(2, 0))
