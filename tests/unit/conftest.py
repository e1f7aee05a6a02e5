# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Runs of modules in this process, and doubles of a Jupyter server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.support.jupyter_double import Behaviour, JupyterDouble
from tests.support.pki import Pair, issue

Result = dict[str, Any]
RunModule = Callable[..., Result]
StartDouble = Callable[..., JupyterDouble]


@pytest.fixture
def run_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Calls a module's main as Ansible does and gives its result."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(module: ModuleType, *, check: bool = False, **arguments: Any) -> Result:
        capsys.readouterr()
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: Result = json.loads(capsys.readouterr().out)
        return result

    return run


@pytest.fixture(scope="session")
def pair() -> Pair:
    """The certificate that doubles serve."""
    return issue("localhost")


@pytest.fixture
def certificate(tmp_path: Path, pair: Pair) -> Path:
    """The PEM file on disk: key, then certificate."""
    path = tmp_path / "server.pem"
    path.write_text(pair.server_pem)
    return path


@pytest.fixture
def double(certificate: Path) -> Iterator[StartDouble]:
    """Starts a double of a Jupyter server that behaves as told until the end of the test."""
    with ExitStack() as running:

        def start(served: Path = certificate, **how: Any) -> JupyterDouble:
            return running.enter_context(JupyterDouble(served, replace(Behaviour(), **how)))

        yield start
