"""Packing the stand-in as the conda package `conda`, in two versions so that an update of it is real."""

from __future__ import annotations

from pathlib import Path

from .package import PLACEHOLDER, Package, Record

SOURCE = Path(__file__).parents[1] / "conda_standin"
PYTHON = "3.11"
#: What real conda is called these days; the older one is what tests start from.
VERSIONS = ("26.5.3", "26.7.1")
#: File of the source's `shell` folder -> where it goes, and its mode.
SHELL_FILES = (
    ("conda", "bin/conda", 0o755),
    ("conda", "condabin/conda", 0o755),
    ("activate", "bin/activate", 0o755),
    ("deactivate", "bin/deactivate", 0o755),
    ("conda.sh", "etc/profile.d/conda.sh", 0o644),
)


def standin_package(version: str, channel: Path) -> Record:
    """Make the package for one version."""
    package = Package(
        name="conda",
        version=version,
        build="py311_0",
        depends=[f"python >={PYTHON},<3.12.0a0", "pip", "py-rattler >=0.24", "pyyaml"],
        license="Apache-2.0",
        summary="a stand-in for conda from the pystack.infra offline kit: not conda",
    )
    for file in sorted(SOURCE.glob("*.py")):
        text = file.read_text()
        if file.name == "version.py":
            text = text.replace('VERSION = "0.0.0"', f'VERSION = "{version}"')
        package.add(f"lib/python{PYTHON}/site-packages/conda_standin/{file.name}", text.encode())
    for name, path, mode in SHELL_FILES:
        text = (SOURCE / "shell" / name).read_text().replace("@PREFIX@", PLACEHOLDER)
        package.add(path, text.encode(), mode, has_prefix=True)
    return package.write(channel)
