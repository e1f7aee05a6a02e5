"""Writing packages and indexes in conda's formats.

Formats: "Conda package specification" of conda-build's documentation (info/index.json, info/paths.json,
info/link.json, has_prefix) and CEP 20 (the version 2 container: a zip of two zstd-compressed tar files).
Everything written is reproducible: sorted members, one fixed time, no owner's name.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

#: Stands for the environment's path in text files; installers replace it by the real one.
PLACEHOLDER = "/opt/" + "placehold_" * 20
#: 1 January 2024, UTC: the time of every file, so that equal inputs give equal packages.
EPOCH = 1_704_067_200
SUMMARY = "repackaged from a PyPI wheel by the pystack.infra offline kit"
ARCH_SUBDIR = "linux-64"
NOARCH = "noarch"
PACKAGE_LEVEL = 3
INDEX_LEVEL = 12


@dataclass(frozen=True)
class Member:
    """One file of a package: content, or a symbolic link's target."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    target: str | None = None
    has_prefix: bool = False


@dataclass(frozen=True)
class Record:
    """What the index says of one package file."""

    subdir: str
    file_name: str
    entry: dict[str, Any]


@dataclass
class Package:
    """A conda package under construction."""

    name: str
    version: str
    build: str
    depends: Iterable[str]
    noarch: str | None = None
    license: str = ""
    summary: str = SUMMARY
    index_extra: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)

    @property
    def subdir(self) -> str:
        return NOARCH if self.noarch else ARCH_SUBDIR

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    def add(self, path: str, data: bytes, mode: int = 0o644, *, has_prefix: bool = False) -> None:
        self.members[path] = Member(path, data, mode, None, has_prefix)

    def link(self, path: str, target: str) -> None:
        self.members[path] = Member(path, target=target, mode=0o777)

    def index(self) -> dict[str, Any]:
        """info/index.json, which the channel's index repeats."""
        platform = {"noarch": self.noarch} if self.noarch else {"arch": "x86_64", "platform": "linux"}
        return {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": sorted(self.depends),
            "license": self.license,
            "subdir": self.subdir,
            "timestamp": EPOCH * 1000,
            **platform,
            **self.index_extra,
        }

    def _linked(self, member: Member) -> bytes:
        """The content that a member stands for: a link counts as what it points to."""
        if member.target is None:
            return member.data
        path = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.target))
        return self.members[path].data if path in self.members else b""

    def _paths_entry(self, member: Member) -> dict[str, Any]:
        data = self._linked(member)
        entry: dict[str, Any] = {
            "_path": member.path,
            "path_type": "hardlink" if member.target is None else "softlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if member.has_prefix:
            entry |= {"file_mode": "text", "prefix_placeholder": PLACEHOLDER}
        return entry

    def _info_members(self, members: list[Member]) -> list[Member]:
        paths = {"paths": [self._paths_entry(m) for m in members], "paths_version": 1}
        texts = {
            "info/about.json": to_json({"summary": self.summary, "license": self.license}),
            "info/files": "".join(f"{m.path}\n" for m in members),
            "info/index.json": to_json(self.index()),
            "info/paths.json": to_json(paths),
            **self.info,
        }
        if prefixed := "".join(f"{PLACEHOLDER} text {m.path}\n" for m in members if m.has_prefix):
            texts["info/has_prefix"] = prefixed
        return [Member(path, text.encode()) for path, text in sorted(texts.items())]

    def write(self, channel: Path) -> Record:
        """Write the package into its channel and give its line of the index."""
        members = sorted(self.members.values(), key=lambda m: m.path)
        folder = channel / self.subdir
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.stem}.conda"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            put(archive, "metadata.json", b'{"conda_pkg_format_version": 2}')
            put(archive, f"pkg-{self.stem}.tar.zst", compressed_tar(members))
            put(archive, f"info-{self.stem}.tar.zst", compressed_tar(self._info_members(members)))
        data = file.read_bytes()
        sums = {
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }
        return Record(self.subdir, file.name, self.index() | sums)


def to_json(data: object) -> str:
    return json.dumps(data, indent=1, sort_keys=True)


def put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data)


def compressed_tar(members: Iterable[Member]) -> bytes:
    """A reproducible tar file, compressed with zstd."""
    raw = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=PACKAGE_LEVEL)
    with (
        compressor.stream_writer(raw, closefd=False) as stream,
        tarfile.open(fileobj=stream, mode="w|") as tar,
    ):
        for member in members:
            item = tarfile.TarInfo(member.path)
            item.mode, item.mtime, item.uname, item.gname = member.mode, EPOCH, "root", "root"
            if member.target is None:
                item.size = len(member.data)
                tar.addfile(item, io.BytesIO(member.data))
            else:
                item.type, item.linkname = tarfile.SYMTYPE, member.target
                tar.addfile(item)
    return raw.getvalue()


def write_index(channel: Path, records: Iterable[Record]) -> int:
    """Write repodata.json and its compressed twin for both folders; give the number of packages."""
    folders: dict[str, dict[str, Any]] = {ARCH_SUBDIR: {}, NOARCH: {}}
    for record in records:
        folders[record.subdir][record.file_name] = record.entry
    for subdir, packages in folders.items():
        index = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": packages,
            "removed": [],
            "repodata_version": 1,
        }
        data = to_json(index).encode()
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        (channel / subdir / "repodata.json").write_bytes(data)
        packed = zstandard.ZstdCompressor(level=INDEX_LEVEL).compress(data)
        (channel / subdir / "repodata.json.zst").write_bytes(packed)
    return sum(map(len, folders.values()))


def share(records: Iterable[Record], source: Path, target: Path) -> None:
    """Offer packages of one channel in another as well, as hard links."""
    for record in records:
        file = target / record.subdir / record.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        os.link(source / record.subdir / record.file_name, file)
