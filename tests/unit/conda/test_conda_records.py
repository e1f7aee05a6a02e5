# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Reading environments, bookkeeping and kernels from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import files, kernel, state
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import (
    Difference,
    PackageRecord,
    Snapshot,
    closure,
    difference,
    extras,
    parse_record,
    read_snapshot,
)
from hypothesis import given
from hypothesis import strategies as st

META: dict[str, Any] = {
    "name": "numpy",
    "version": "1.26.4",
    "build": "py311_0",
    "build_number": 3,
    "channel": "https://conda.example/conda-forge/linux-64",
    "subdir": "linux-64",
    "url": "https://conda.example/conda-forge/linux-64/numpy.conda",
    "sha256": "ab",
    "depends": [
        "python >=3.11,<3.12.0a0",
        "conda-forge::libblas[version='>=3']",
        "__glibc >=2.17",
        "python_abi 3.11.*",
    ],
    "requested_spec": "numpy>=1.26",
    "files": ["lib/python3.11/site-packages/numpy-1.26.4.dist-info/METADATA"],
}


def environment(root: Path, *metas: Any) -> Path:
    (root / "conda-meta").mkdir()
    for index, meta in enumerate(metas):
        (root / "conda-meta" / f"{index}.json").write_text(meta if isinstance(meta, str) else json.dumps(meta))
    return root


def distribution(root: Path, name: str, version: str, **content: str) -> None:
    directory = root / f"lib/python3.11/site-packages/{name}-{version}.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n")
    for file, text in content.items():
        (directory / file.replace("_json", ".json")).write_text(text)


def test_a_record(tmp_path: Path) -> None:
    record = read_snapshot(str(environment(tmp_path, META))).conda["numpy"]
    assert record == PackageRecord(
        "numpy",
        "1.26.4",
        "py311_0",
        3,
        "https://conda.example/conda-forge",
        "linux-64",
        META["url"],
        "ab",
    )
    assert record.requested == "numpy>=1.26"
    assert record.dependencies() == ["python", "libblas", "__glibc", "python_abi"]
    assert record.line() == "numpy 1.26.4 py311_0 conda-forge"


def test_a_link_action_gives_the_same_line() -> None:
    link = {"name": "numpy", "version": "1.26.4", "build_string": "py311_0", "platform": "linux-64"}
    record = parse_record({**link, "channel": "conda-forge", "base_url": "https://conda.example/conda-forge"}, "x")
    assert record.line() == parse_record(META, "x").line()
    assert record.subdir == "linux-64"


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{", "is not readable as JSON: Expecting property name enclosed in double quotes"),
        ("[]", "holds list where a JSON object is expected"),
        ({"name": "x"}, "has no field 'version', so it does not describe a package"),
        ({**META, "build_number": None}, "does not describe a package: int() argument must be"),
        ({**META, "build_number": "x"}, "does not describe a package: invalid literal for int()"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, meta: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        read_snapshot(str(environment(tmp_path, meta)))
    assert str(error.value).startswith(f"{tmp_path}/conda-meta/0.json {message}")


def test_damaged_variables_are_named(tmp_path: Path) -> None:
    (environment(tmp_path, META) / "conda-meta/state").write_text('{"env_vars": []}')
    with pytest.raises(ValueError) as error:
        read_snapshot(str(tmp_path))
    assert str(error.value) == f"{tmp_path}/conda-meta/state holds no mapping under 'env_vars'"


def test_owners_of_python_distributions(tmp_path: Path) -> None:
    environment(tmp_path, META)
    distribution(tmp_path, "numpy", "1.26.4")
    distribution(tmp_path, "Foo.Bar", "1.0", INSTALLER="pip\n")
    distribution(tmp_path, "vendored", "2.0", INSTALLER="conda\n")
    distribution(tmp_path, "wheel", "3", direct_url_json='{"url": "https://h.example/w.whl", "archive_info": {}}')
    vcs = {"url": "https://h.example/git", "vcs_info": {"vcs": "git", "commit_id": "c", "requested_revision": "v1"}}
    distribution(tmp_path, "tool", "4", direct_url_json=json.dumps(vcs))
    (tmp_path / "lib/python3.11/site-packages/leftover-1.dist-info").mkdir()
    found = read_snapshot(str(tmp_path))
    assert {name: entry.owner for name, entry in found.python.items()} == {
        "numpy": "conda",
        "foo-bar": "pip",
        "vendored": "conda",
        "wheel": "pip",
        "tool": "pip",
    }
    assert sorted(found.pip()) == ["foo-bar", "tool", "wheel"]
    assert found.python["wheel"].url == "https://h.example/w.whl"
    assert found.python["tool"].url == "git+https://h.example/git@v1"
    assert found.python["foo-bar"].title() == "foo-bar 1.0"


def test_a_directory_that_is_no_environment_is_empty(tmp_path: Path) -> None:
    assert read_snapshot(str(tmp_path)) == Snapshot()


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    root = tmp_path / "a[b]*"
    root.mkdir()
    environment(root, META)
    distribution(root, "foo", "1")
    found = read_snapshot(str(root))
    assert (sorted(found.conda), sorted(found.python)) == (["numpy"], ["foo"])


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.lists(names, max_size=3).map(tuple)), st.sets(names))
def test_closure_and_extras(graph: dict[str, tuple[str, ...]], roots: set[str]) -> None:
    records = {name: PackageRecord(name, "1", "0", depends=needs) for name, needs in graph.items()}
    reached = closure(roots, records)
    assert roots & set(records) <= reached <= set(records)
    assert all(need in reached for name in reached for need in graph[name] if need in records)
    assert reached | set(extras(roots, records)) == set(records)
    assert not reached & set(extras(roots, records))
    # Nothing that stays needs anything that goes, so removing the extras removes nothing else.
    assert closure(reached, records) == reached


def test_difference() -> None:
    assert difference({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 1, "d": 1}) == Difference(("d",), ("a",), ("b",))


def test_kernel_content() -> None:
    assert kernel.content("/envs/a", "Label", {"COST": "5$"}) == {
        "argv": ["/envs/a/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Label",
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"PATH": "/envs/a/bin:${PATH}", "CONDA_PREFIX": "/envs/a", "COST": "5$$"},
    }


def test_kernel_belongs_to_the_environment_that_it_starts() -> None:
    assert kernel.belongs_to(kernel.content("/envs/a", "", {}), "/envs/a")
    others: list[dict[str, Any] | None] = [None, {}, {"argv": []}, {"argv": "x"}, {"argv": ["/envs/ab/bin/python"]}]
    for other in others:
        assert not kernel.belongs_to(other, "/envs/a")


def test_removing_a_kernel_keeps_what_others_put_beside_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        kernel.write(str(tmp_path), name, {})
    (tmp_path / "two/logo.png").touch()
    for name in ("one", "two", "three"):
        kernel.remove(str(tmp_path), name)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["two", "two/logo.png"]


def test_state_round_trip(tmp_path: Path) -> None:
    wanted = state.State("building", "create", "d", ("a",), "python=3.11", ("foo",), ("X",))
    assert state.read(str(tmp_path), "e") is None
    state.write(str(tmp_path), "e", wanted)
    assert state.read(str(tmp_path), "e") == wanted
    assert wanted.interrupted("create", "remove") and not wanted.interrupted("update")


@pytest.mark.parametrize(
    "text", ['{"status": "done"}', '{"status": "ready", "pip": 1}', '{"status": "ready", "python": []}']
)
def test_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    files.write_json(str(tmp_path / ".pystack/e.json"), json.loads(text))
    with pytest.raises(ValueError) as error:
        state.read(str(tmp_path), "e")
    path = tmp_path / ".pystack/e.json"
    assert str(error.value) == f"{path} is damaged; remove it to have the environment adopted as it is"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_atomically(str(path), "old")

    def full(_handle: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        files.write_atomically(str(path), "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
