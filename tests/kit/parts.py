"""What the kit is made of besides images: parts that are built and kept independently of each other.

A part is a folder below CACHE, named by what it is and by the hash of everything that decides its content.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.kit import images, paths, pypi
from tests.kit.conda import INPUTS as CONDA_INPUTS
from tests.kit.conda import build as build_conda
from tests.kit.conda.cpython import SOURCES
from tests.kit.el9 import repositories

Log = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """One part: what decides its content, how it is built into a folder, and which paths in that are served."""

    name: str
    inputs: tuple[Path, ...]
    facts: tuple[str, ...]
    build: Callable[[Path, Path, Log], None]
    served: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names the result by everything that decides it."""
        digest = hashlib.sha256(repr((self.name, self.facts)).encode())
        for path in sorted(self.inputs):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        return paths.CACHE / self.name / self.key

    @property
    def is_made(self) -> bool:
        return self.folder.is_dir()

    def ensure(self, log: Log) -> Path:
        """The part's folder, built if it is not there. An older one is removed. Raises what the build raises."""
        content, home = self.folder, self.folder.parent
        if not self.is_made:
            unfinished = home / f"{self.key}.building"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            self.build(unfinished, paths.CACHE / "work", log)
            for old in home.glob("????????????????"):
                shutil.rmtree(old)
            unfinished.rename(content)
        return content


def conda_part() -> Part:
    """Channels and installers; Debian's CPython comes out of the host images."""

    def build(out: Path, work: Path, log: Log) -> None:
        log(f"building channels and installers ({paths.BANNER})")
        build_conda(out, work, images=tags, base_url=paths.BASE_URL, log=log)

    sources = [images.IMAGES[source.image] for source in SOURCES]
    tags = {image.name: image.tag for image in sources}
    facts = (paths.BASE_URL, *(image.recipe for image in sources))
    return Part("conda", tuple(CONDA_INPUTS), facts, build, ("api/conda", "ext-miniforge"))


def rpm_part() -> Part:
    """RPM repositories, made in a container of the stand-in for EL 9."""

    def build(out: Path, work: Path, log: Log) -> None:
        repositories.build(out, work, image=images.EL9.tag, log=log)

    return Part("rpm", repositories.INPUTS, (images.EL9.recipe,), build, ("rpm-rocky",))


def pypi_part() -> Part:
    """An index with a few wheels."""
    return Part("pypi", pypi.INPUTS, (), pypi.build, ("api/pypi",))


def all_parts(*, upstream: bool = False, el9: bool = True) -> list[Part]:
    """The parts that are to be there, the longest first.

    upstream: the real conda and PyPI are used, but the stand-in's RPMs have no other origin. el9: whether hosts of EL 9
    are wanted at once; RPMs that are there are used anyway. A given image for EL 9 has repositories of its own.
    """
    rpm = rpm_part()
    rpms = [rpm] if not images.EL9.given and (el9 or rpm.is_made) else []
    return rpms if upstream else [conda_part(), *rpms, pypi_part()]


def mounts(made: Iterable[tuple[Part, Path]]) -> dict[Path, str]:
    """Folders of this machine -> where they are served, below the base URL."""
    return {folder / path: path for part, folder in made for path in part.served}
