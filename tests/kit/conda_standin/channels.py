"""From the names of channels to their addresses and back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .config import settings
from .errors import ArgumentError, ChannelDenied, ChannelNotAllowed, NoChannelsConfiguredError

NO_DEFAULTS = "nodefaults"
SUBDIR = re.compile(r"/(linux-64|noarch)$")


def alias() -> str:
    return str(settings()["channel_alias"]).rstrip("/")


def urls_of(name: str) -> list[str]:
    """The addresses that one channel stands for."""
    configured = settings()
    if name == NO_DEFAULTS:
        return []
    if "://" in name:
        return [name.rstrip("/")]
    if name.startswith(("/", "./", "../", "~")):
        return ["file://" + str(Path(name).expanduser().resolve())]
    if name == "defaults":
        return [url for channel in configured["default_channels"] for url in urls_of(channel)]
    if name in configured["custom_multichannels"]:
        return [url for channel in configured["custom_multichannels"][name] for url in urls_of(channel)]
    if name in configured["custom_channels"]:
        base = str(configured["custom_channels"][name]).rstrip("/")
        return [base if base.endswith(f"/{name}") else f"{base}/{name}"]
    return [f"{alias()}/{name}"]


def resolve(names: list[str]) -> list[str]:
    """The addresses of channels in order, after the permitted and forbidden ones were checked."""
    urls = list(dict.fromkeys(url for name in names for url in urls_of(name)))
    permitted = {url for name in settings()["allowlist_channels"] for url in urls_of(name)}
    forbidden = {url for name in settings()["denylist_channels"] for url in urls_of(name)}
    for url in urls:
        fields = {"channel_url": url, "channel_name": name_of(url)}
        if permitted and url not in permitted:
            raise ChannelNotAllowed(f"Channel '{name_of(url)}' is not on the list of allowed channels: {url}", **fields)
        if url in forbidden:
            raise ChannelDenied(f"Channel '{name_of(url)}' is on the list of denied channels: {url}", **fields)
    return urls


def configured_names() -> list[str]:
    """The configured channels; `defaults` where none is configured but default_channels are."""
    configured: dict[str, Any] = settings()
    return configured["channels"] or (["defaults"] if configured["default_channels"] else [])


def selected(own: list[str], override: bool = False) -> list[str]:
    """The addresses that a command uses: its own channels, then (unless overridden) the configured ones."""
    if override and not own:
        raise ArgumentError("At least one -c / --channel flag must be supplied when using --override-channels.")
    urls = resolve([*own, *([] if override else configured_names())])
    if not urls:
        raise NoChannelsConfiguredError("No channels are configured: give one with -c, or in a .condarc file.")
    return urls


def name_of(url: str) -> str:
    """A channel's short name: what the configuration would turn into its address."""
    base = SUBDIR.sub("", url.rstrip("/"))
    if base in urls_of("defaults"):
        return "defaults"
    for name in settings()["custom_channels"]:
        if urls_of(name) == [base]:
            return str(name)
    if base.startswith(alias() + "/"):
        return base.removeprefix(alias() + "/")
    return base
