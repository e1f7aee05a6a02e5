"""Run by the build's own environment: solve and install packages of one channel into a prefix.

    install_base.py CHANNEL PREFIX SHOWN_PREFIX CACHE SPECIFICATION...

SHOWN_PREFIX is the path that goes into the installed files.
"""

import asyncio
import os
import sys
from pathlib import Path

import rattler
from rattler import Channel, Gateway, MatchSpec, SourceConfig, VirtualPackage


async def install(channel: str, prefix: str, shown: str, cache: str, *specs: str) -> None:
    wanted = [MatchSpec(spec) for spec in specs]
    records = await rattler.solve(
        sources=[Channel(channel)],
        specs=wanted,
        gateway=Gateway(cache_dir=Path(cache), default_config=SourceConfig(sharded_enabled=False)),
        virtual_packages=[package.into_generic() for package in VirtualPackage.detect()],
        add_pip_as_python_dependency=True,
    )
    await rattler.install(
        records=records,
        target_prefix=prefix,
        alternative_target_prefix=shown,
        cache_dir=Path(cache),
        show_progress=False,
        requested_specs=[spec._match_spec for spec in wanted],
    )


code = 1
try:
    asyncio.run(install(*sys.argv[1:]))
    code = 0
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
sys.stderr.flush()
os._exit(code)  # py-rattler may abort while Python ends
