"""Self-extracting installers with Miniconda's interface.

The base environment is installed by py-rattler from the finished channel under a made-up path, compiled,
and packed. At installation a short script writes the real path wherever the other is named.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..conda_standin import BANNER
from .fetch import run
from .package import EPOCH

TEMPLATES = Path(__file__).parent / "templates"
#: Stands for the base environment's path until an installer knows it.
BASE_PLACEHOLDER = "/opt/base_of_the_offline_kit_before_installation"
GZIP_LEVEL = 6


@dataclass(frozen=True)
class Distribution:
    """One kind of installer; Miniforge's configures a channel, Miniconda's does not."""

    name: str
    title: str
    version: str
    channel: str = ""

    @property
    def kit_version(self) -> str:
        return f"kit_{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.title}-{self.kit_version}-Linux-x86_64.sh"


DISTRIBUTIONS = (
    Distribution("miniconda", "Miniconda3", "26.5.3"),
    Distribution("miniconda", "Miniconda3", "26.7.1"),
    Distribution("miniforge", "Miniforge3", "26.7.1", channel="conda-forge"),
)


@dataclass(frozen=True)
class Site:
    """The channel on disk and the address that it will be served under."""

    folder: Path
    url: str


def payload(version: str, site: Site, python: Path, work: Path) -> bytes:
    """The packed base environment with one version of the stand-in."""
    prefix = work / f"base-{version}"
    cache = work / f"base-cache-{version}"
    for old in (prefix, cache):
        shutil.rmtree(old, ignore_errors=True)
    source = site.folder.resolve().as_uri()
    script = str(TEMPLATES / "install_base.py")
    specs = [f"conda=={version}", "python"]
    command = [str(python), script, source, str(prefix), BASE_PLACEHOLDER, str(cache), *specs]
    run(command, {"CONDA_OVERRIDE_GLIBC": "2.36", "CONDA_OVERRIDE_LINUX": "5.10"})
    shutil.rmtree(cache)
    (prefix / "CACHEDIR.TAG").unlink(missing_ok=True)
    records = finish_records(prefix, source, site.url)
    write_history(prefix, records, version)
    for folder in ("envs", "pkgs"):
        (prefix / folder).mkdir()
    compile_modules(prefix)
    add_installer_files(prefix)
    packed = pack(prefix)
    shutil.rmtree(prefix)
    return packed


def finish_records(prefix: Path, source: str, url: str) -> list[dict[str, Any]]:
    """Let conda-meta name the served channel in place of the build's folders."""
    records = []
    for file in sorted((prefix / "conda-meta").glob("*.json")):
        record = json.loads(file.read_text().replace(source, url))
        stem = record["fn"].removesuffix(".conda")
        record["channel"] = url
        record["extracted_package_dir"] = f"{BASE_PLACEHOLDER}/pkgs/{stem}"
        record["package_tarball_full_path"] = f"{BASE_PLACEHOLDER}/pkgs/{record['fn']}"
        record["link"] = {"source": record["extracted_package_dir"], "type": 1}
        file.write_text(json.dumps(record, indent=2) + "\n")
        records.append(record)
    return records


def write_history(prefix: Path, records: list[dict[str, Any]], version: str) -> None:
    lines = ["==> 2024-01-01 00:00:00 <==", "# cmd: constructor", f"# conda version: {version}"]
    lines += [f"+{r['channel']}/{r['subdir']}::{r['name']}-{r['version']}-{r['build']}" for r in records]
    lines.append("# update specs: ['conda', 'python']")
    (prefix / "conda-meta/history").write_text("\n".join(lines) + "\n")


def compile_modules(prefix: Path) -> None:
    """Bytecode that is checked against the source: base may later be updated in place."""
    options = ["-q", "-j", str(os.cpu_count() or 1), "--invalidation-mode", "checked-hash"]
    paths = ["-s", str(prefix), "-p", BASE_PLACEHOLDER]
    run([str(prefix / "bin/python"), "-I", "-m", "compileall", *options, *paths, str(prefix / "lib")])


def add_installer_files(prefix: Path) -> None:
    """The list of files to fit to their place, and the script that does it."""
    placeholder = BASE_PLACEHOLDER.encode()
    files = (path for path in sorted(prefix.rglob("*")) if path.is_file() and not path.is_symlink())
    named = [
        path.relative_to(prefix).as_posix()
        for path in files
        if path.suffix not in (".pyc", ".so") and placeholder in path.read_bytes()
    ]
    folder = prefix / ".installer"
    folder.mkdir()
    (folder / "relocate").write_text("\n".join([BASE_PLACEHOLDER, *named]) + "\n")
    shutil.copyfile(TEMPLATES / "relocate.py", folder / "relocate.py")


def pack(prefix: Path) -> bytes:
    """A reproducible tar.gz of a prefix: root's, readable by all, writable by root alone."""

    def normal(item: tarfile.TarInfo) -> tarfile.TarInfo:
        item.uid = item.gid = 0
        item.uname = item.gname = "root"
        item.mtime = EPOCH
        item.mode = 0o755 if item.isdir() or item.mode & 0o100 else 0o644
        return item

    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=GZIP_LEVEL, mtime=EPOCH) as stream,
        tarfile.open(fileobj=stream, mode="w|") as tar,
    ):
        for path in sorted(prefix.rglob("*")):
            tar.add(path, path.relative_to(prefix).as_posix(), recursive=False, filter=normal)
    return raw.getvalue()


def write_installer(distribution: Distribution, packed: bytes, folder: Path) -> dict[str, str]:
    """Write an installer and its checksum file; give what is to be known of it."""
    template = (TEMPLATES / "installer.sh").read_text()
    values = {
        "BANNER": BANNER,
        "CHANNELS": distribution.channel,
        "FOLDER": distribution.title.lower(),
        "MD5": hashlib.md5(packed, usedforsecurity=False).hexdigest(),
        "NAME": distribution.title,
        "PAYLOAD_LINE": str(template.count("\n") + 1),
        "SIZE": str(len(packed)),
        "VERSION": distribution.kit_version,
    }
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    data = template.encode() + packed
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / distribution.file_name
    file.write_bytes(data)
    file.chmod(0o755)
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    return {
        "distribution": distribution.name,
        "version": distribution.kit_version,
        "file": f"{folder.name}/{file.name}",
        "sha256": digest,
    }
