"""How PyPI's names and version specifiers are spelt in a conda channel.

The names are those that the conda-forge community gave its packages (each feedstock's recipe says so); the
grammar of conda's version constraints is described in conda-build's "Package match specifications".
"""

from __future__ import annotations

import re

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

#: Canonical PyPI name -> conda name, only where the two differ.
CONDA_NAMES = {
    "blosc2": "python-blosc2",
    "et-xmlfile": "et_xmlfile",
    "fastjsonschema": "python-fastjsonschema",
    "importlib-metadata": "importlib_metadata",
    "ipython-pygments-lexers": "ipython_pygments_lexers",
    "jupyter-client": "jupyter_client",
    "jupyter-console": "jupyter_console",
    "jupyter-core": "jupyter_core",
    "jupyter-events": "jupyter_events",
    "jupyter-server": "jupyter_server",
    "jupyter-server-terminals": "jupyter_server_terminals",
    "jupyterlab-pygments": "jupyterlab_pygments",
    "jupyterlab-server": "jupyterlab_server",
    "jupyterlab-widgets": "jupyterlab_widgets",
    "matplotlib": "matplotlib-base",
    "msgpack": "msgpack-python",
    "notebook-shim": "notebook-shim",
    "prometheus-client": "prometheus_client",
    "pure-eval": "pure_eval",
    "stack-data": "stack_data",
    "tables": "pytables",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
}


def conda_name(pypi_name: str) -> str:
    """The conda package that carries a PyPI distribution."""
    canonical = canonicalize_name(pypi_name)
    return CONDA_NAMES.get(canonical, canonical)


def conda_constraint(specifiers: SpecifierSet) -> str:
    """A PEP 440 specifier set as conda's comma-separated version constraint ("" for any version)."""
    parts: list[str] = []
    for specifier in sorted(specifiers, key=str):
        operator, version = specifier.operator, specifier.version
        if operator in ("==", "===") and version.endswith(".*"):
            parts.append(version)
        elif operator == "~=":
            series = version.rsplit(".", 1)[0]
            parts += [f">={version}", f"{series}.*"]
        else:
            parts.append(("==" if operator == "===" else operator) + version)
    return ",".join(parts)


def python_bounds(requires_python: str) -> str:
    """The bounds of Requires-Python; single excluded releases are dropped: none of them is offered."""
    kept = ",".join(part for part in requires_python.split(",") if part.strip() and "!=" not in part)
    return conda_constraint(SpecifierSet(kept))


def next_minor(python: str) -> str:
    """The first version after a Python series, as conda-forge writes upper bounds: 3.11 -> 3.12.0a0."""
    major, minor = python.split(".")
    return f"{major}.{int(minor) + 1}.0a0"


def manylinux_glibc(platforms: set[str]) -> str | None:
    """The lowest glibc that a set of wheel platform tags asks for (PEP 600), or None when they name none."""
    legacy = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
    found: list[tuple[int, int]] = []
    for platform in platforms:
        if match := re.match(r"manylinux_(\d+)_(\d+)_", platform):
            found.append((int(match[1]), int(match[2])))
        elif (start := platform.split("_", 1)[0]) in legacy:
            found.append(legacy[start])
    return "{}.{}".format(*min(found)) if found else None
