# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The module as Ansible calls it, against a command that answers as conda does, and how it reads what it is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import PackageRecord
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import RunError
from ansible_collections.pystack.infra.plugins.module_utils.conda.search import (
    Offer,
    columns,
    human_size,
    read_answer,
    read_request,
    read_spec,
    table,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError
from ansible_collections.pystack.infra.plugins.modules import conda_search

if TYPE_CHECKING:
    from tests.unit.conftest import RunModule

FORGE = "https://conda.example/conda-forge"
FAKE = """#!{python} -IS
import json, os, pathlib, sys
here = pathlib.Path(sys.argv[0]).parent
with (here / "calls.jsonl").open("a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
code, text = json.loads((here / "answers.json").read_text())[sys.argv[-1]]
print("a warning on the other stream", file=sys.stderr)
print(text)
sys.exit(code)
"""


def offer(name: str, version: str, build: str = "0", subdir: str = "linux-64", **more: Any) -> dict[str, Any]:
    """A package as ``conda search --json`` has it."""
    values = {"name": name, "version": version, "build": build, "build_number": 0, "depends": [], "subdir": subdir}
    return {**values, "channel": f"{FORGE}/{subdir}", "url": f"{FORGE}/{subdir}/{name}", "fn": name, **more}


def found(*offers: dict[str, Any]) -> tuple[int, str]:
    groups: dict[str, Any] = {}
    for one in offers:
        groups.setdefault(one["name"], []).append(one)
    return 0, json.dumps(groups)


def not_found(spec: str, *urls: str) -> tuple[int, str]:
    name = "PackagesNotFoundInChannelsError"
    answer = {"error": f"{name}: long", "exception_name": name, "message": "long", "packages": [spec]}
    return 1, json.dumps({**answer, "channel_urls": urls})


class Tool:
    """The fake, and runs of the module with it."""

    def __init__(self, root: Path, run: RunModule) -> None:
        self.root = root
        self.run = run
        self.path = root / "conda"
        self.path.write_text(FAKE.format(python=sys.executable))
        self.path.chmod(0o755)

    def ask(self, answers: dict[str, tuple[int, str]], specs: list[str], **options: Any) -> dict[str, Any]:
        (self.root / "answers.json").write_text(json.dumps(answers))
        return self.run(conda_search, **{"specs": specs, "conda_executable": str(self.path), **options})

    def packages(self, answers: dict[str, tuple[int, str]], specs: list[str], **options: Any) -> list[str]:
        result = self.ask(answers, specs, **options)
        assert result.get("changed") is False, result
        return [f"{one['name']} {one['version']} {one['build']} {one['subdir']}" for one in result["packages"]]

    def message(self, answers: dict[str, tuple[int, str]], specs: list[str], **options: Any) -> str:
        result = self.ask(answers, specs, **options)
        assert result["failed"] is True
        assert "packages" not in result
        return str(result["msg"])

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        log = self.root / "calls.jsonl"
        return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def tool(tmp_path: Path, run_module: RunModule) -> Tool:
    return Tool(tmp_path, run_module)


# ---------------------------------------------------------------- what is found


PANDAS = offer(
    "pandas", "2.2.3", "py311h7db5c69_1", build_number=1, size=15412345, sha256="ab", license="BSD-3-Clause",
    depends=["numpy >=1.22.4,<3", "python >=3.11,<3.12.0a0"],
)  # fmt: skip


@pytest.mark.parametrize("check", [False, True])
def test_a_package(tool: Tool, check: bool) -> None:
    result = tool.ask({"pandas[version='>=2']": found(PANDAS)}, ["pandas >=2"], channels=["conda-forge"], check=check)
    assert result["packages"] == [
        {
            **{"name": "pandas", "version": "2.2.3", "build": "py311h7db5c69_1", "build_number": 1},
            **{"channel": FORGE, "subdir": "linux-64", "size": 15412345, "sha256": "ab", "license": "BSD-3-Clause"},
            "depends": ["numpy >=1.22.4,<3", "python >=3.11,<3.12.0a0"],
        }
    ]
    assert result["table"] == [
        "name    version  build            channel               size",
        "pandas  2.2.3    py311h7db5c69_1  conda-forge/linux-64  15.4MB",
    ]
    assert result["changed"] is False
    ((arguments, _environment),) = tool.calls()
    assert arguments == ["search", "--json", "--override-channels", "-c", "conda-forge", "pandas[version='>=2']"]


def test_what_a_channel_does_not_tell(tool: Tool) -> None:
    (package,) = tool.ask({"six": found(offer("six", "1.17.0"))}, ["six"])["packages"]
    assert (package["size"], package["sha256"], "license" in package) == (0, "", False)


def test_options_for_conda(tool: Tool) -> None:
    answers = {"six": found(offer("six", "1.17.0", subdir="noarch"))}
    tool.packages(answers, ["six"])
    tool.packages(answers, ["six"], platform="linux-aarch64", channels=["nodefaults", "one", "https://h.example/two"])
    assert [arguments for arguments, _environment in tool.calls()] == [
        ["search", "--json", "six"],
        [
            *("search", "--json", "--override-channels", "-c", "one", "-c", "https://h.example/two"),
            *("--platform", "linux-aarch64", "six"),
        ],
    ]


def test_conda_gets_a_clean_environment(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")  # would accept Terms of Service
    tool.packages({"six": found(offer("six", "1.17.0"))}, ["six"])
    ((_arguments, environment),) = tool.calls()
    assert "CI" not in environment


OFFERS = found(
    offer("numpy", "1.26.4", "py311_0"),
    offer("numpy", "2.0.0rc1", "py311_0"),
    offer("numpy", "2.0.0", "py311_0"),
    offer("numpy", "2.0.0", "py312_0"),
    offer("numpy", "2.0.0", "py310_1", build_number=1),
    offer("numpy", "not a version!", "py311_0"),
    offer("numpy", "1.9", "py27_0"),
    offer("numpy-base", "1.26.4", "0", "noarch"),
)


def test_all_versions_newest_first(tool: Tool) -> None:
    assert tool.packages({"numpy*": OFFERS}, ["numpy*"], latest=False) == [
        "numpy 2.0.0 py310_1 linux-64",
        "numpy 2.0.0 py312_0 linux-64",
        "numpy 2.0.0 py311_0 linux-64",
        "numpy 2.0.0rc1 py311_0 linux-64",
        "numpy 1.26.4 py311_0 linux-64",
        "numpy 1.9 py27_0 linux-64",
        "numpy not a version! py311_0 linux-64",
        "numpy-base 1.26.4 0 noarch",
    ]


def test_only_the_newest_of_each_unless_told_otherwise(tool: Tool) -> None:
    expected = ["numpy 2.0.0 py310_1 linux-64", "numpy-base 1.26.4 0 noarch"]
    assert tool.packages({"numpy*": OFFERS}, ["numpy*"]) == expected


def test_several_specifications(tool: Tool) -> None:
    six, numpy = offer("six", "1.17.0"), offer("numpy", "2.0.0")
    answers = {"six": found(six), "numpy*": found(numpy), "numpy=2": found(numpy)}
    assert tool.packages(answers, ["six", "numpy*", "numpy=2", "six"], latest=False) == [
        "numpy 2.0.0 0 linux-64",
        "six 1.17.0 0 linux-64",
    ]
    assert [arguments[-1] for arguments, _environment in tool.calls()] == ["six", "numpy*", "numpy=2"]


def test_text_before_the_answer_and_words_beside_the_packages(tool: Tool) -> None:
    code, text = found(offer("six", "1.17.0"))
    answer = json.dumps({**json.loads(text), "success": True})
    assert tool.packages({"six": (code, f"Loading channels: done\n{answer}")}, ["six"]) == ["six 1.17.0 0 linux-64"]


def test_a_package_whose_name_means_something_else_to_conda(tool: Tool) -> None:
    for name in ("error", "actions", "message"):
        assert tool.packages({name: found(offer(name, "1.0"))}, [name]) == [f"{name} 1.0 0 linux-64"]


# ---------------------------------------------------------------- what is not


def test_all_that_is_missing_in_one_sentence(tool: Tool) -> None:
    urls = (f"{FORGE}/linux-64", f"{FORGE}/noarch")
    answers = {
        "six": found(offer("six", "1.17.0")),
        "sixx": not_found("sixx", *urls),
        "pandas[version='>=99']": not_found("pandas[version='>=99']", *urls),
    }
    assert tool.message(answers, ["sixx", "six", "pandas>=99"], channels=["conda-forge"]) == (
        f"conda search failed: no package matches sixx, pandas>=99 in {urls[0]}, {urls[1]}"
    )


@pytest.mark.parametrize(
    ("channels", "where"), [(["conda-forge"], "conda-forge"), ([], "the channels that conda is configured with")]
)
def test_packages_with_similar_names_are_not_what_was_asked_for(tool: Tool, channels: list[str], where: str) -> None:
    similar = [offer(name, "1.0") for name in ("panda-b", "panda-a", "panda-a")]
    assert tool.message({"panda": found(*similar)}, ["panda"], channels=channels) == (
        f"conda search failed: no package matches panda in {where}; similar names: panda-a, panda-b"
    )
    many = [offer(f"panda-{number}", "1.0") for number in range(6)]
    assert tool.message({"panda": found(*many)}, ["panda"]).endswith(
        "; similar names: panda-0, panda-1, panda-2, panda-3, panda-4, …"
    )


def test_an_answer_without_a_package(tool: Tool) -> None:
    expected = "conda search failed: no package matches six in the channels that conda is configured with"
    assert tool.message({"six": (0, "{}")}, ["six"]) == tool.message({"six": not_found("six")}, ["six"]) == expected


def test_other_failures_of_conda(tool: Tool) -> None:
    error = {"exception_name": "CondaHTTPError", "message": "HTTP 000 for https://u:s3cret@h.example/c", "error": "x"}
    result = tool.ask({"six": (1, json.dumps(error))}, ["six"])
    assert result["msg"] == "conda search failed: CondaHTTPError: HTTP 000 for https://***@h.example/c"
    assert (result["rc"], result["stderr"]) == (1, "a warning on the other stream\n")
    assert "s3cret" not in str(result)
    assert tool.message({"six": (3, "")}, ["six"]) == (
        "conda search failed: exit code 3, and no answer in JSON; a warning on the other stream"
    )
    assert tool.message({"six": (0, "broken")}, ["six"]).startswith("conda search failed: exit code 0, and no answer")


def test_an_answer_that_describes_no_package(tool: Tool) -> None:
    assert tool.message({"six": (0, '{"six": [{"name": "six"}]}')}, ["six"]) == (
        "conda's answer has no field 'version', so it does not describe a package"
    )


def test_without_conda(tool: Tool) -> None:
    tool.path.unlink()
    assert tool.message({}, ["six"]) == (
        f"conda_executable: '{tool.path}' is not there or not executable; install conda first"
    )
    assert tool.message({}, ["six"], conda_executable="bin/conda") == (
        "conda_executable: 'bin/conda' is not an absolute path"
    )


def test_nothing_is_asked_after_bad_input(tool: Tool) -> None:
    text = "https://user:s3cret@h.example/c"
    result = tool.ask({}, ["six", f"{text}::six"], channels=[text, "-c"], platform="beos-64")
    assert result["failed"] is True
    problems = result["msg"].splitlines()
    assert [problem.partition(": ")[0] for problem in problems] == [
        "platform",
        "specs[1]",
        "channels[0]",
        "channels[1]",
    ]
    assert "put them into ~/.netrc" in problems[1] and "put them into ~/.netrc" in problems[2]
    assert "s3cret" not in str(result)
    assert tool.calls() == []


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("text", "name", "canonical"),
    [
        ("NumPy", "numpy", "numpy"),
        ("numpy=1.26.*", "numpy", "numpy=1.26"),
        ("numpy *", "numpy", "numpy[version='*']"),  # any version of one package
        (" NumPy* ", "numpy*", "numpy*"),
        ("*num*py*>=1,<2", "*num*py*", "*num*py*[version='>=1,<2']"),
        ("conda-forge::numpy*=1.26", "numpy*", "conda-forge::numpy*=1.26"),
        ("conda-forge/linux-64::n*[build_number=3]", "n*", "conda-forge/linux-64::n*[build_number='3']"),
    ],
)
def test_a_specification(text: str, name: str, canonical: str) -> None:
    spec = read_spec(text)
    assert (spec.name, spec.canonical(), spec.text) == (name, canonical, text.strip())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "package specification '' is not understood: it has no package name"),
        ("--help", "package specification '--help' is not understood: it has no package name"),
        ("*", "package specification '*' names every package; give a part of the name"),
        ("conda-forge::**=1", "package specification 'conda-forge::**=1' names every package; give a part of the name"),
        ("numpy*[x=1]", "package specification 'numpy*[x=1]' is not understood: unknown key 'x'"),
        ("-n*", "package specification '-n*' is not understood: it has no package name"),
        (
            "https://u:p@h.example/c::n*",
            "package specification 'https://***@h.example/c::n*' is not understood: channel",
        ),
    ],
)
def test_a_specification_that_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        read_spec(text)
    assert str(error.value).startswith(message)


def test_every_problem_of_a_request_is_named() -> None:
    with pytest.raises(SpecError) as error:
        read_request([], ["nodefaults"], "beos-64")
    assert [problem.partition(": ")[0] for problem in error.value.problems] == ["specs", "platform", "channels"]
    assert read_request(["six"], ["nodefaults", "one"]).channels == ("one",)


def test_a_killed_search() -> None:
    with pytest.raises(RunError, match="conda search failed: it was killed by signal 9"):
        read_answer(CompletedProcess([], -9, "", ""), ())


@pytest.mark.parametrize(
    ("size", "text"), [(0, ""), (1, "0.0kB"), (17_000, "17.0kB"), (999_949, "999.9kB"), (7_460_000, "7.5MB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_table_shows_no_credentials() -> None:
    record = PackageRecord("six", "1", "0", channel="https://u:s3cret@h.example", subdir="noarch")
    assert Offer(record).result()["channel"] == "https://***@h.example"
    assert table([Offer(record)])[1].split() == ["six", "1", "0", "***@h.example/noarch"]


def test_columns() -> None:
    assert columns([("a", "bb", ""), ("ccc", "d", "e")]) == ["a    bb", "ccc  d   e"]
    assert columns([]) == []
