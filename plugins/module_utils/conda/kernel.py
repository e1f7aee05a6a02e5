# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The Jupyter kernel of an environment.

Source: jupyter_client's documentation, "Kernel specs"
(https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .files import read_json, remove_file, write_json
from .generations import Generations


def path(kernels_dir: str, name: str) -> str:
    """The file of the kernel with this name."""
    return os.path.join(kernels_dir, name, "kernel.json")


def content(prefix: str, display_name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What the kernel's file says: the environment's Python, its PATH and its variables.

    Jupyter expands ``${NAME}`` in these values, so a dollar sign of a variable is doubled.
    """
    literal = {name: value.replace("$", "$$") for name, value in variables.items()}
    return {
        "argv": [f"{prefix}/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"PATH": f"{prefix}/bin:${{PATH}}", "CONDA_PREFIX": prefix, **literal},
    }


def read(kernels_dir: str, name: str) -> dict[str, Any] | None:
    """The present content, None when there is no kernel; ValueError naming a damaged file."""
    return read_json(path(kernels_dir, name))


def belongs_to(found: Mapping[str, Any] | None, prefix: str) -> bool:
    """Whether a kernel starts the Python of this environment, or of one of its generations."""
    argv = (found or {}).get("argv")
    own = Generations(*os.path.split(prefix))
    return isinstance(argv, list) and bool(argv) and str(argv[0]).startswith((f"{prefix}/bin/", f"{own.directory}/"))


def moved(found: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same kernel with the Python of another prefix."""

    def change(value: Any) -> Any:
        if isinstance(value, str):
            return new + value[len(old) :] if value == old or value.startswith(f"{old}/") else value
        if isinstance(value, list):
            return [change(item) for item in value]
        return {key: change(item) for key, item in value.items()} if isinstance(value, dict) else value

    return {key: change(value) for key, value in found.items()}


def write(kernels_dir: str, name: str, wanted: Mapping[str, Any]) -> None:
    """Write the kernel's file in one step."""
    write_json(path(kernels_dir, name), wanted)


def remove(kernels_dir: str, name: str) -> None:
    """Remove the kernel's file, and its directory unless somebody put more into it."""
    remove_file(path(kernels_dir, name))
    with suppress(OSError):
        os.rmdir(os.path.join(kernels_dir, name))
