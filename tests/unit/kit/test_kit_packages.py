"""Packages made of wheels: contents, dependencies, reproducibility."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.kit.conda.cpython import needed_glibc
from tests.kit.conda.fetch import entries
from tests.kit.conda.package import PLACEHOLDER, Package, write_index
from tests.kit.conda.wheels import Catalogue, Wheel, convert, is_unneeded_test, launcher, plans

METADATA = """\
Metadata-Version: 2.1
Name: demo
Version: 1.0
Requires-Python: >=3.9
Requires-Dist: six>=1.16
Requires-Dist: tomli; python_version < "3.11"
Requires-Dist: other[extra]
Requires-Dist: numpy; extra == "fast"
"""
OTHER = "Metadata-Version: 2.1\nName: other\nVersion: 2\nRequires-Dist: attrs; extra == 'extra'\n"


def wheel(folder: Path, name: str, metadata: str, pythons: tuple[str, ...], **files: str) -> Wheel:
    stem = "-".join(name.split("-")[:2])
    path = folder / f"{name}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        for file, text in files.items():
            archive.writestr(file.replace("__dist__", f"{stem}.dist-info").replace("__", "/"), text)
    return Wheel(path, pythons)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    entry_points = {"__dist____entry_points.txt": "[console_scripts]\ndemo = demo.cli:main [fast]\n"}
    demo = wheel(tmp_path, "demo-1.0-py3-none-any", METADATA, ("3.11",), **entry_points)
    return Catalogue([demo, wheel(tmp_path, "other-2-py3-none-any", OTHER, ("3.11",))])


def unpacked(package: Path, part: str) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        packed = archive.read(f"{part}-{package.stem}.tar.zst")
    raw = zstandard.ZstdDecompressor().stream_reader(packed).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]


def test_depends_apply_markers_and_flatten_extras(catalogue: Catalogue) -> None:
    assert catalogue.depends(catalogue.wheels[0], "3.11") == ["attrs", "other", "six >=1.16"]


def test_a_pure_wheel_becomes_one_noarch_package(catalogue: Catalogue, tmp_path: Path) -> None:
    made = [convert(plan, tmp_path / "channel") for plan in plans(catalogue)]
    assert [(record.subdir, record.file_name) for record in made] == [
        ("noarch", "demo-1.0-pyh_0.conda"),
        ("noarch", "other-2-pyh_0.conda"),
    ]
    assert "python >=3.9" in made[0].entry["depends"]
    link = json.loads(unpacked(tmp_path / "channel/noarch/demo-1.0-pyh_0.conda", "info")["info/link.json"])
    assert link["noarch"] == {"type": "python", "entry_points": ["demo = demo.cli:main"]}


def test_a_wheel_with_differing_needs_becomes_one_package_for_each_python(tmp_path: Path) -> None:
    metadata = METADATA.replace('< "3.11"', '< "3.12"')
    demo = wheel(tmp_path, "demo-1.0-py3-none-any", metadata, ("3.11", "3.13"))
    assert [plan.python for plan in plans(Catalogue([demo]))] == ["3.11", "3.13"]


def test_packages_are_reproducible(catalogue: Catalogue, tmp_path: Path) -> None:
    first, second = (convert(plans(catalogue)[0], tmp_path / name) for name in ("a", "b"))
    assert first == second


def test_files_with_a_prefix_are_declared(tmp_path: Path) -> None:
    package = Package("demo", "1.0", "0", [])
    package.add("bin/demo", launcher("demo.cli:App.main"), 0o755, has_prefix=True)
    package.link("bin/alias", "demo")
    package.write(tmp_path)
    paths = json.loads(unpacked(tmp_path / "linux-64/demo-1.0-0.conda", "info")["info/paths.json"])["paths"]
    assert [(p["_path"], p["path_type"], p.get("prefix_placeholder")) for p in paths] == [
        ("bin/alias", "softlink", None),
        ("bin/demo", "hardlink", PLACEHOLDER),
    ]
    assert paths[0]["sha256"] == paths[1]["sha256"]


def test_launcher_imports_the_first_name() -> None:
    text = launcher("demo.cli:App.main").decode()
    assert "from demo.cli import App\n" in text
    assert "sys.exit(App.main())" in text


def test_index_has_both_folders(catalogue: Catalogue, tmp_path: Path) -> None:
    records = [convert(plan, tmp_path) for plan in plans(catalogue)]
    assert write_index(tmp_path, records) == 2
    index = json.loads((tmp_path / "noarch/repodata.json").read_text())
    assert set(index["packages.conda"]) == {"demo-1.0-pyh_0.conda", "other-2-pyh_0.conda"}
    assert json.loads((tmp_path / "linux-64/repodata.json").read_text())["packages.conda"] == {}


def test_only_large_packages_lose_their_tests() -> None:
    assert is_unneeded_test("scipy", "scipy/stats/tests/test_x.py")
    assert not is_unneeded_test("numpy", "numpy/_core/tests/_natype.py")
    assert not is_unneeded_test("tables", "tables/tests/common.py")


def test_needed_glibc_is_the_newest_named() -> None:
    assert needed_glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0") == (2, 34)


def test_entries_join_continued_lines() -> None:
    text = "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nb==2 \\\n    --hash=sha256:22\n"
    assert entries(text) == ["a==1 --hash=sha256:00 --hash=sha256:11", "b==2 --hash=sha256:22"]
