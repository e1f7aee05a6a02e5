# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The lookups: files on the controller that declarations of conda environments name, and locks beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.pystack.infra.plugins.filter.conda import environment_problems
from ansible_collections.pystack.infra.plugins.lookup import conda_environments, conda_locks
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import parse_lock

from tests.kit.paths import ROOT

FILE = """\
name: other
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - numpy >=1.26
  - pip:
      - iniconfig==2.0.0
variables:
  A: from the file
prefix: /home/me/envs/other
"""
SAID = {
    "channels": ["conda-forge"],
    "packages": ["python=3.11", "numpy >=1.26"],
    "pip": ["iniconfig==2.0.0"],
    "variables": {"A": "from the file"},
}
HASH = "0123456789abcdef" * 4
URL = "https://conda.example/c/linux-64/python-3.11.9-h1_0.conda"
LOCK = f"# platform: linux-64\n@EXPLICIT\n{URL}#sha256:{HASH}\n"
CONDA_LOCK = {
    "version": 1,
    "package": [
        {
            **{"name": "python", "version": "3.11.9", "manager": "conda", "platform": platform},
            **{"url": URL.replace("linux-64", platform), "hash": {"sha256": HASH}},
        }
        for platform in ("linux-64", "linux-aarch64")
    ],
}


def plugin(module: ModuleType, basedir: Path) -> Any:
    """A lookup as Ansible makes it for a playbook in a directory."""
    name = str(module.__name__)
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("lookup", name, options)
    loader = DataLoader()
    loader.set_basedir(str(basedir))
    made = module.LookupModule(loader=loader)
    made._load_name = name
    return made


def failure(function: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(AnsibleLookupError) as error:
        function(*arguments, **options)
    return str(error.value)


@pytest.fixture
def play(tmp_path: Path) -> Path:
    """The directory of a playbook."""
    (tmp_path / "files").mkdir()
    (tmp_path / "locks").mkdir()
    (tmp_path / "files/environment.yml").write_text(FILE)
    (tmp_path / "locks/lab-linux-64.lock").write_text(LOCK)
    return tmp_path


def types(value: Any) -> set[type]:
    """The types of everything in a value."""
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(types, inner))


# ---------------------------------------------------------------- environments


def environments(play: Path, *terms: Any) -> list[Any]:
    found: list[Any] = plugin(conda_environments, play).run(list(terms), {})
    return found


def test_a_declaration_without_a_file_is_as_it_was(play: Path) -> None:
    declared = [{"name": "a", "packages": ["numpy"], "channels": None}, {"name": "b", "state": "absent"}]
    assert environments(play, declared) == declared
    assert environments(play, *declared) == declared
    assert environments(play, []) == []


@pytest.mark.parametrize("path", ["environment.yml", "files/environment.yml", "{play}/files/environment.yml"])
def test_a_file_says_what_the_declaration_does_not(play: Path, path: str) -> None:
    (found,) = environments(play, [{"name": "lab", "file": path.format(play=play), "prune": True}])
    assert found == {"name": "lab", "prune": True, **SAID}
    assert environment_problems([found]) == []


def test_a_file_is_looked_for_in_the_search_path_of_the_task(play: Path, tmp_path: Path) -> None:
    (tmp_path / "role/files").mkdir(parents=True)
    (tmp_path / "role/files/environment.yml").write_text("dependencies: [of-the-role]")
    variables = {"ansible_search_path": [str(tmp_path / "role"), str(play)]}
    declared = [{"name": "lab", "file": "environment.yml"}]
    found = plugin(conda_environments, play).run(declared, variables)
    assert found == [{"name": "lab", "packages": ["of-the-role"]}]
    assert plugin(conda_environments, play).run(declared) == [{"name": "lab", **SAID}]


def test_the_declaration_wins_and_what_it_leaves_empty_is_the_files(play: Path) -> None:
    own: dict[str, Any] = {"name": "lab", "packages": [], "variables": {"B": "own"}, "channels": None, "python": None}
    (found,) = environments(play, {**own, "file": "environment.yml"})
    assert found == {**own, "channels": SAID["channels"], "pip": SAID["pip"]}


def test_the_name_is_never_the_files(play: Path) -> None:
    (found,) = environments(play, {"file": "environment.yml"})
    assert found == SAID
    assert environment_problems([found]) == [
        "environments[0].name: is missing or blank; every environment needs a name"
    ]


def test_what_goes_away_needs_no_file(play: Path) -> None:
    declared = {"name": "lab", "state": "absent", "file": "gone.yml", "lock_file": "gone.lock"}
    assert environments(play, declared) == [{"name": "lab", "state": "absent"}]


def test_the_lock_is_another_lookups(play: Path) -> None:
    assert environments(play, {"name": "lab", "lock_file": "x.lock"}) == [{"name": "lab"}]


def test_what_is_no_declaration_is_left_to_the_checks(play: Path) -> None:
    declared = ["lab", None, 5, ["a"], {"name": 5}]
    assert environments(play, declared) == declared
    assert environments(play, "lab") == ["lab"]
    assert len(environment_problems(environments(play, declared))) >= len(declared)


def test_the_answer_has_plain_types(play: Path) -> None:
    (play / "declared.yml").write_text("[{name: lab, file: environment.yml, prune: true, a: [1, 1.5, b], c: {d: ~}}]")
    loaded = DataLoader().load_from_file(str(play / "declared.yml"))
    found = environments(play, loaded)
    assert found == [{"name": "lab", "prune": True, "a": [1, 1.5, "b"], "c": {"d": None}, **SAID}]
    assert types(loaded) > {type(loaded[0]["name"])} != {str}
    assert types(found) == {list, dict, str, bool, int, float, type(None)}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (5, "", "5 is not the path of an environment.yml"),
        ("", "", "'' is not the path of an environment.yml"),
        (["a.yml"], "", "['a.yml'] is not the path of an environment.yml"),
        ("gone.yml", "", "there is no file 'gone.yml' on the controller"),
        ("/gone/away.yml", "", "there is no file '/gone/away.yml' on the controller"),
        ("x.yml", "dependancies: []", "{path}: 'dependancies' is not a known key; did you mean 'dependencies'?"),
        ("x.yml", "variables: {A: 4}", "{path}: variables.A is not a string; quote it"),
        ("x.yml", "variables: {A: on}", "{path}: variables.A is not a string; quote it"),
        ("x.yml", "dependencies: [3.10]", "{path}: dependencies[0] is not a string; quote it"),
        ("x.yml", "dependencies: [2024-01-01]", "{path}: dependencies[0] is not a string; quote it"),
    ],
)
def test_files_that_are_refused(play: Path, file: Any, text: str, message: str) -> None:
    (play / "files/x.yml").write_text(text)
    said = failure(environments, play, [{"name": "a"}, {"name": "lab", "file": file}])
    assert said == f"environments[1].file: {message.format(path=play / 'files/x.yml')}"


def test_what_cannot_be_read_is_named(play: Path) -> None:
    path = play / "files/x.yml"
    path.write_text("a: b: c")
    said = failure(environments, play, {"name": "lab", "file": "x.yml"})
    assert said.startswith(f"environments[0].file: {path} cannot be read: YAML parsing failed")
    path.unlink()
    path.mkdir()
    said = failure(environments, play, {"name": "lab", "file": "x.yml"})
    assert said.startswith(f"environments[0].file: {path} cannot be read: An error occurred while trying to read")


def test_a_file_is_read_anew_in_every_task(play: Path) -> None:
    lookup, declared = plugin(conda_environments, play), [{"name": "lab", "file": "environment.yml"}]
    lookup._loader.load_from_file(str(play / "files/environment.yml"))
    (play / "files/environment.yml").write_text("dependencies: [new]")
    assert lookup.run(declared, {}) == [{"name": "lab", "packages": ["new"]}]


# ---------------------------------------------------------------- locks


def locks(play: Path, *terms: Any, **options: Any) -> dict[str, Any]:
    given = {"directory": str(play / "locks"), "platform": "linux-64", **options}
    (found,) = plugin(conda_locks, play).run(list(terms), {}, **given)
    assert types(found) <= {dict, str}
    return dict(found)


LAB = {"name": "lab", "packages": ["python"]}
OTHER = {"name": "other", "state": "present"}
GONE = {"name": "gone", "state": "absent"}
NEXT = "make it with: ansible-playbook playbooks/lock.yml -i <your inventory>"


def test_locks_are_found_by_name_and_platform(play: Path) -> None:
    expected = {"lab": {"path": str(play / "locks/lab-linux-64.lock"), "text": LOCK}}
    assert locks(play, [LAB, OTHER, GONE]) == expected
    assert locks(play, LAB, OTHER) == expected
    assert locks(play, LAB, directory="locks") == expected
    assert locks(play, {"name": " lab "}) == expected
    assert locks(play, LAB, platform="linux-aarch64") == {}
    assert locks(play, []) == {}


def test_the_text_is_in_the_collections_own_form(play: Path) -> None:
    (play / "locks/lab-linux-64.lock").write_text(f"# by conda\r\n@EXPLICIT\r\n\r\n{URL}#{HASH}\r\n")
    assert locks(play, LAB)["lab"]["text"] == LOCK


def test_no_lock_is_even_looked_at(play: Path) -> None:
    (play / "locks/lab-linux-64.lock").write_text("damaged")
    assert locks(play, {**LAB, "lock_file": "gone.lock"}, LAB, mode="none") == {}


def test_without_a_lock_nothing_goes_where_locks_are_required(play: Path) -> None:
    assert list(locks(play, LAB, GONE, mode="require")) == ["lab"]
    said = failure(locks, play, [LAB, OTHER, GONE, {"name": "third"}], mode="require")
    assert said == (
        f"other has no lock (looked at {play}/locks/other-linux-64.lock); "
        f"third has no lock (looked at {play}/locks/third-linux-64.lock); {NEXT}"
    )


@pytest.mark.parametrize("path", ["own.lock", "files/own.lock", "{play}/files/own.lock"])
def test_a_declaration_may_name_its_lock(play: Path, path: str) -> None:
    (play / "files/own.lock").write_text(LOCK.replace("3.11.9", "3.12.1"))
    found = locks(play, {**LAB, "lock_file": path.format(play=play)}, mode="require")["lab"]
    assert found == {"path": str(play / "files/own.lock"), "text": LOCK.replace("3.11.9", "3.12.1")}


@pytest.mark.parametrize("name", ["conda-lock.yml", "lab.conda-lock.yaml"])
def test_a_lock_of_conda_lock_is_converted(play: Path, name: str) -> None:
    (play / "files" / name).write_text(yaml.safe_dump(CONDA_LOCK))
    declared = {**LAB, "lock_file": name}
    assert locks(play, declared)["lab"] == {"path": str(play / "files" / name), "text": LOCK}
    other = locks(play, declared, platform="linux-aarch64")["lab"]["text"]
    assert parse_lock(other, name).platform == "linux-aarch64"


def test_a_lock_of_conda_lock_is_read_anew_in_every_task(play: Path) -> None:
    path = play / "files/conda-lock.yml"
    path.write_text(yaml.safe_dump({**CONDA_LOCK, "version": 2}))
    lookup = plugin(conda_locks, play)
    lookup._loader.load_from_file(str(path))
    path.write_text(yaml.safe_dump(CONDA_LOCK))
    # Without variables, too.
    (found,) = lookup.run([{**LAB, "lock_file": path.name}], directory="locks", platform="linux-64")
    assert found["lab"]["text"] == LOCK


@pytest.mark.parametrize(
    "declared", [None, "lab", 5, ["lab"], {}, {"name": None}, {"name": 5}, {"name": ""}, {"name": "../locks/lab"}]
)
def test_what_is_no_declaration_has_no_lock(play: Path, declared: Any) -> None:
    assert locks(play, [declared, LAB], mode="require").keys() == {"lab"}
    assert environment_problems([declared]) != []


ELSE = "put it there, or leave lock_file out and make a lock with playbooks/lock.yml"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (5, "", "environments[1].lock_file: 5 is not the path of a lock"),
        ("", "", "environments[1].lock_file: '' is not the path of a lock"),
        ("gone.lock", "", f"environments[1].lock_file: there is no file 'gone.lock' on the controller; {ELSE}"),
        (
            "x.lock",
            f"{LOCK}# pip: a\n",
            "{path}: line 4: pip requirement 'a' is not pinned; 'name==version' or 'name @ URL' is expected",
        ),
        (
            "x.lock",
            LOCK.replace("linux-64", "linux-aarch64"),
            "{path}: the lock is for linux-aarch64, and the host is linux-64",
        ),
        ("x.yml", "version: 2\npackage: []\n", "{path}: version '2' of conda-lock's format is not known; 1 is"),
        (
            "x.yml",
            yaml.safe_dump({**CONDA_LOCK, "package": CONDA_LOCK["package"][1:]}),  # type: ignore[index]
            "{path}: there is nothing for linux-64; it is locked for linux-aarch64",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_locks_that_are_refused(play: Path, file: Any, text: str, message: str, mode: str) -> None:
    path = play / "files" / str(file or "nothing")
    path.write_text(text) if text else None
    said = failure(locks, play, LAB, {"name": "other", "lock_file": file}, mode=mode)
    assert said == message.format(path=path)


def test_a_lock_for_all_platforms_is_for_this_one(play: Path) -> None:
    text = f"# platform: noarch\n@EXPLICIT\n{URL.replace('linux-64', 'noarch')}#sha256:{HASH}\n"
    (play / "locks/lab-linux-64.lock").write_text(text)
    assert locks(play, LAB)["lab"]["text"] == text


def test_a_damaged_lock_is_named(play: Path) -> None:
    path = play / "locks/lab-linux-64.lock"
    path.write_text("numpy\n")
    assert failure(locks, play, LAB).startswith(f"{path}: line 1: 'numpy' stands where '@EXPLICIT' is expected")
    path.unlink()
    path.mkdir()
    assert failure(locks, play, LAB).startswith(f"{path} cannot be read: An error occurred while trying to read")


@pytest.mark.parametrize("options", [{"directory": None}, {"platform": None}, {"mode": "always"}])
def test_options_are_checked(play: Path, options: dict[str, Any]) -> None:
    given = {"directory": "locks", "platform": "linux-64", **options}
    with pytest.raises(AnsibleError) as error:
        plugin(conda_locks, play).run([], {}, **{key: value for key, value in given.items() if value})
    assert next(iter(options)) in str(error.value)


# ---------------------------------------------------------------- through Ansible itself


def test_through_ansible(play: Path) -> None:
    """As a play has them: declarations with templates, and tagged by Ansible wherever they come from."""
    options = "directory='locks', platform='linux-64'"
    answer = (
        "{{ {'environments': query('pystack.infra.conda_environments', declared), "
        f"'locks': lookup('pystack.infra.conda_locks', declared, {options})}} | to_json }}}}"
    )
    declared = [{"name": "{{ wanted }}", "file": "environment.yml", "pip": []}, "{{ undeclared | default(5) }}"]
    step = {"ansible.builtin.copy": {"content": answer, "dest": str(play / "answer.json"), "mode": "0600"}}
    local = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    plays = [{**local, "vars": {"wanted": "lab", "declared": declared}, "tasks": [step]}]
    (play / "play.yml").write_text(json.dumps(plays))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "play.yml", "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}"],
        capture_output=True,
        text=True,
        cwd=play,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
            "ANSIBLE_HOME": str(play / "home"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((play / "answer.json").read_text()) == {
        "environments": [{"name": "lab", **SAID, "pip": []}, 5],
        "locks": {"lab": {"path": str(play / "locks/lab-linux-64.lock"), "text": LOCK}},
    }
