# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Reading conda's answers, above all those that say no."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import (
    Conda,
    RunError,
    Solution,
    clean_environment,
    read_answer,
)

LINK = {"name": "a", "version": "1", "build_string": "0", "channel": "forge"}


def done(stdout: Any, code: int = 0, stderr: str = "") -> CompletedProcess[str]:
    text = stdout if isinstance(stdout, str) else json.dumps(stdout)
    return CompletedProcess([], code, text, stderr)


def failure(stdout: Any, code: int = 1, stderr: str = "", channels: tuple[str, ...] = ()) -> str:
    with pytest.raises(RunError) as error:
        read_answer("conda create", done(stdout, code, stderr), channels)
    assert error.value.details["rc"] == code
    return str(error.value)


def test_actions() -> None:
    actions = {"LINK": [LINK], "UNLINK": [{"name": "b"}]}
    for form in (actions, [actions]):
        found = read_answer("conda create", done({"success": True, "actions": form}), ())
        assert [record.title() for record in found.link] == ["a 1 0"]
        assert found.unlink == ("b",)


def test_nothing_to_do_and_text_before_the_answer() -> None:
    text = 'Collecting: {"x"}\n{"success": true, "message": "All requested packages already installed."}\n'
    assert read_answer("conda install", done(text), ()) == Solution()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {
                "exception_name": "PackagesNotFoundError",
                "message": "long",
                "packages": ["x", "y=2"],
                "channel_urls": ["https://u:p@h.example/c"],
            },
            "no package matches x, y=2 in https://***@h.example/c",
        ),
        (
            {"exception_name": "PackagesNotFoundInChannelsError", "message": "long", "packages": ["x"]},
            "no package matches x in forge",
        ),
        ({"exception_name": "PackagesNotFoundError", "message": "what\n  - x"}, "what - x"),
        (
            {"exception_name": "LibMambaUnsatisfiableError", "message": "a needs b\n  but c"},
            "the packages contradict each other; the solver says: a needs b but c",
        ),
        (
            {"exception_name": "LibMambaUnsatisfiableError", "message": "python would need __glibc >=2.38"},
            "the packages contradict each other, or need another host (__glibc); "
            "the solver says: python would need __glibc >=2.38",
        ),
        (
            {
                "exception_name": "CondaToSNonInteractiveError",
                "message": "not accepted:\n  - https://h.example/pkgs/main\n  - https://h.example/pkgs/r.\nAccept.",
            },
            "Terms of Service have to be accepted first for https://h.example/pkgs/main, https://h.example/pkgs/r. "
            "Accept them deliberately (conda tos accept --override-channels --channel https://h.example/pkgs/main; "
            "conda tos accept --override-channels --channel https://h.example/pkgs/r), or use other channels",
        ),
        (
            {"exception_name": "CondaToSNonInteractiveError", "message": "please"},
            "a channel wants its Terms of Service accepted first: please",
        ),
        ({"exception_name": "CondaHTTPError", "error": "404 /t/tk-1/c"}, "CondaHTTPError: 404 /t/***/c"),
        ({"error": "plain"}, "plain"),
        ({}, "no message"),
    ],
)
def test_errors(answer: dict[str, Any], message: str) -> None:
    assert failure(answer, channels=("forge",)) == f"conda create failed: {message}"


def test_errors_without_an_answer() -> None:
    usage = "usage: conda\nconda: error: unrecognized arguments: --x\n"
    expected = "conda create failed: exit code 2, and no answer in JSON; "
    assert failure("", 2, usage) == f"{expected}usage: conda / conda: error: unrecognized arguments: --x"
    assert failure("{broken", 2) == f"{expected}it printed nothing"
    assert failure("", -9) == "conda create failed: it was killed by signal 9"
    with pytest.raises(RunError, match="plain"):
        read_answer("conda create", done({"error": "plain"}, 0), ())


def test_no_channels_named_in_a_not_found() -> None:
    answer = {"exception_name": "PackagesNotFoundError", "message": "", "packages": ["x"]}
    assert failure(answer).endswith("no package matches x in the channels that conda is configured with")


def test_environment_without_what_would_decide_silently() -> None:
    removed = ["CI", "JENKINS_URL", "CONDA_PLUGINS_AUTO_ACCEPT_TOS", "PYTHONPATH", "CONDARC", "CONDA_PREFIX"]
    given = dict.fromkeys([*removed, "CONDA_PREFIX_1", "HTTPS_PROXY", "CIRCUS"], "x")
    assert clean_environment(given) == {"HTTPS_PROXY": "x", "CIRCUS": "x"}


def test_a_command_that_is_missing_or_cannot_start(tmp_path: Path) -> None:
    path = tmp_path / "conda"
    with pytest.raises(RunError) as error:
        Conda(str(path)).solve("create", "/p", (), (), dry_run=False)
    assert str(error.value) == f"conda_executable: '{path}' is not there or not executable; install conda first"
    path.write_text("#!/nowhere/at-all\n")
    path.chmod(0o755)
    with pytest.raises(RunError) as error:
        Conda(str(path)).solve("create", "/p", (), (), dry_run=False)
    assert str(error.value) == f"{path} cannot be started: No such file or directory"


def test_pip_without_an_error_line(tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no module named pip >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(RunError) as error:
        Conda("conda").pip(str(tmp_path), ["install", "x"])
    assert str(error.value) == "pip install failed: exit code 1; no module named pip"
