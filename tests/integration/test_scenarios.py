"""Every Molecule scenario: check mode on the pristine host, converge, idempotence, verify.

A scenario whose verification leaves out one of its platforms fails here; Molecule itself would call it a success, even
when no test at all was collected.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / ".artifacts"
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
AT_ONCE = 2
_LAST_LINES = 120


def platforms(scenario: str) -> list[str]:
    """Names of a scenario's platforms."""
    described = yaml.safe_load((ROOT / "molecule" / scenario / "molecule.yml").read_text())
    return [row["name"] for row in described["platforms"]]


def platform_of(test: str, names: list[str]) -> str:
    """The platform that a test looked at: testinfra writes test_it_runs[docker://pystack-deb12-...]."""
    found = [name for name in names if re.search(rf"//{re.escape(name)}[]-]", test)]
    # One name may begin with another.
    return max(found, key=len, default="")


def verified(report: Path) -> list[str]:
    """Names of the tests that were neither skipped nor left out, by a JUnit report."""
    cases = ElementTree.parse(report).getroot().iter("testcase")  # noqa: S314 - our own pytest wrote it
    return [str(case.get("name")) for case in cases if case.find("skipped") is None]


def size(scenario: str) -> int:
    """Bytes of a scenario's tests."""
    return sum(path.stat().st_size for path in (ROOT / "molecule" / scenario / "tests").glob("*.py"))


def run(scenario: str, say: Callable[[str], None]) -> int:
    """Molecule's exit code; all that it printed goes to a log."""
    started = time.monotonic()
    with (ARTIFACTS / f"{scenario}.log").open("w") as output:
        molecule = subprocess.Popen(
            ["molecule", "test", "--scenario-name", scenario],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert molecule.stdout is not None
        for line in molecule.stdout:
            output.write(line)
            output.flush()
            if "Executing" in line or "Executed" in line or "changed=" in line:
                say(f"{time.monotonic() - started:5.0f} s  {scenario:<12} {line.strip()[:100]}")
    return molecule.wait()


@pytest.fixture(scope="module")
def codes(pytestconfig: pytest.Config) -> Iterator[dict[str, Future[int]]]:
    """Exit codes by scenario. Two run at a time: hosts of one wait for Ansible while those of another are busy.

    Those with the most tests come first, so that none of them is the last one and alone.
    """
    ARTIFACTS.mkdir(exist_ok=True)
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {line}", end="", flush=True)

    for scenario in SCENARIOS:
        (ARTIFACTS / f"{scenario}.xml").unlink(missing_ok=True)
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {scenario: pool.submit(run, scenario, say) for scenario in sorted(SCENARIOS, key=size, reverse=True)}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, codes: dict[str, Future[int]]) -> None:
    report, log = ARTIFACTS / f"{scenario}.xml", ARTIFACTS / f"{scenario}.log"
    code = codes[scenario].result()
    tail = "\n".join(log.read_text().splitlines()[-_LAST_LINES:])
    assert code == 0, f"molecule ended with {code}; all of it in {log}; the end:\n{tail}"
    tests = verified(report) if report.exists() else []
    hosts = platforms(scenario)
    forgotten = set(hosts) - {platform_of(test, hosts) for test in tests}
    assert not forgotten, f"{scenario}: of {len(tests)} tests none looked at {', '.join(sorted(forgotten))}"
