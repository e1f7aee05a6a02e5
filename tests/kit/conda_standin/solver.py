"""Solving and installing by py-rattler."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rattler
from rattler import (
    Channel,
    ChannelPriority,
    Gateway,
    MatchSpec,
    PrefixRecord,
    RepoDataRecord,
    SourceConfig,
    VirtualPackage,
)

from .channels import name_of
from .config import package_cache, settings
from .errors import (
    CondaValueError,
    LibMambaUnsatisfiableError,
    PackagesNotFoundInChannelsError,
    UnavailableInvalidChannel,
)
from .prefix import spec_name

PLATFORMS = ("linux-64", "noarch")
MISSING = re.compile(r"No candidates were found for ([^\s.*]+)")
UNREACHABLE = re.compile(r"404|failed to fetch|error sending request|No such file|not found|could not find", re.I)


def trust() -> None:
    """conda's ssl_verify may name a bundle of authorities; py-rattler takes it from the environment."""
    bundle = str(settings()["ssl_verify"])
    if bundle.startswith("/"):
        os.environ["SSL_CERT_FILE"] = bundle


def gateway() -> Gateway:
    trust()
    config = SourceConfig(sharded_enabled=False, bz2_enabled=False)
    return Gateway(cache_dir=package_cache() / "cache", default_config=config, show_progress=False)


def parse(specs: Sequence[str]) -> list[MatchSpec]:
    try:
        return [MatchSpec(spec) for spec in specs]
    except Exception as error:  # py-rattler raises classes of its own that it does not export
        raise CondaValueError(f"Invalid package specification: {error}") from error


def check_reachable(urls: Sequence[str]) -> None:
    """A folder without an index is no channel; py-rattler would take it for an empty one."""
    for url in urls:
        if url.startswith("file://") and not Path(url.removeprefix("file://"), "noarch/repodata.json").exists():
            text = f"HTTP 404 UNAVAILABLE OR INVALID for channel {name_of(url)} <{url}>"
            raise UnavailableInvalidChannel(text, channel_url=url, channel_name=name_of(url), status_code=404)


def solve(
    specs: Sequence[str],
    urls: list[str],
    locked: Sequence[PrefixRecord] = (),
    constraints: Sequence[str] = (),
) -> list[RepoDataRecord]:
    """The packages that satisfy the specifications; raises the error that conda would name."""
    check_reachable(urls)
    disabled = str(settings()["channel_priority"]) in ("disabled", "False")
    wanted = parse(specs)
    pinned = parse([*constraints, *settings()["pinned_packages"]])
    index = gateway()
    try:
        return asyncio.run(
            rattler.solve(
                sources=[Channel(url) for url in urls],
                specs=wanted,
                gateway=index,
                locked_packages=list(locked),
                constraints=pinned,
                virtual_packages=[package.into_generic() for package in VirtualPackage.detect()],
                channel_priority=ChannelPriority.Disabled if disabled else ChannelPriority.Strict,
                add_pip_as_python_dependency=bool(settings()["add_pip_as_python_dependency"]),
            )
        )
    except Exception as error:  # see parse()
        raise explain(str(error), list(specs), urls) from error


def explain(text: str, specs: list[str], urls: list[str]) -> Exception:
    """The solver's complaint as one of conda's errors."""
    missing = set(MISSING.findall(text))
    if absent := [spec for spec in specs if spec_name(spec) in missing]:
        return PackagesNotFoundInChannelsError(absent, urls)
    if "Cannot solve" not in text and UNREACHABLE.search(text):
        fields = {"channel_url": urls[0], "channel_name": name_of(urls[0])} if len(urls) == 1 else {}
        return UnavailableInvalidChannel(f"UNAVAILABLE OR INVALID channel\n{text}", **fields)
    return LibMambaUnsatisfiableError(f"Encountered problems while solving:\n{text}")


def install(prefix: str, records: Sequence[RepoDataRecord], specs: Sequence[str]) -> None:
    """Make an environment hold exactly these packages."""
    trust()
    asyncio.run(
        rattler.install(
            records=list(records),
            target_prefix=prefix,
            cache_dir=package_cache(),
            show_progress=False,
            execute_link_scripts=True,
            requested_specs=[spec._match_spec for spec in parse(specs)],  # the wrapper passes them on as they are
        )
    )


def search(spec: str, urls: list[str]) -> list[RepoDataRecord]:
    """Every package of the channels that a specification matches."""
    check_reachable(urls)
    query = gateway().query([Channel(url) for url in urls], PLATFORMS, parse([spec]), recursive=False)
    try:
        answer = asyncio.run(query)
    except Exception as error:  # see parse()
        raise UnavailableInvalidChannel(str(error)) from error
    return [record for group in answer for record in group]


def prefix_records(prefix: str) -> list[PrefixRecord]:
    return [PrefixRecord.from_path(path) for path in sorted(Path(prefix, "conda-meta").glob("*.json"))]


def as_dict(record: RepoDataRecord) -> dict[str, Any]:
    """A package of the index in the shape of a conda-meta record."""
    return {
        "build": str(record.build),
        "build_number": record.build_number,
        "channel": str(record.channel or "").rstrip("/"),
        "depends": [str(spec) for spec in record.depends],
        "fn": str(record.file_name),
        "md5": record.md5.hex() if record.md5 else None,
        "name": record.name.normalized,
        "sha256": record.sha256.hex() if record.sha256 else None,
        "size": record.size,
        "subdir": str(record.subdir),
        "url": str(record.url),
        "version": str(record.version),
    }
