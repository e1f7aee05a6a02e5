"""Every Molecule scenario: check mode on the pristine host, converge, idempotence, verify.

A scenario whose verification collects no test fails here; Molecule itself would call it a success.
"""

from __future__ import annotations

import os
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / ".artifacts"
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
_LAST_LINES = 120


def collected(report: Path) -> int:
    """Tests that were neither skipped nor left out, by a JUnit report."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - our own pytest wrote it
    return sum(int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) for suite in suites)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    report, log = ARTIFACTS / f"{scenario}.xml", ARTIFACTS / f"{scenario}.log"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    with log.open("w") as output:
        molecule = subprocess.Popen(
            ["molecule", "test", "--scenario-name", scenario],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert molecule.stdout is not None
        for line in molecule.stdout:
            output.write(line)
            output.flush()
            if "Executing" in line or "Executed" in line or "changed=" in line:
                with capsys.disabled():
                    print(f"\n  {time.monotonic() - started:5.0f} s  {line.strip()[:110]}", end="", flush=True)
        code = molecule.wait()
    tail = "\n".join(log.read_text().splitlines()[-_LAST_LINES:])
    assert code == 0, f"molecule ended with {code}; all of it in {log}; the end:\n{tail}"
    assert report.exists() and collected(report) > 0, f"the scenario {scenario} verified nothing: no test was collected"
