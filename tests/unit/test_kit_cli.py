# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The offline kit's command line: which upstreams are used, and what the inventory says about it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from tests.kit import __main__ as kit
from tests.kit import images, parts, paths, server
from tests.kit.paths import BANNER, BASE_URL


class Probed(BaseHTTPRequestHandler):
    """Answers as a channel does, or does not, by the path."""

    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    with HTTPServer(("127.0.0.1", 0), Probed) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (kit, paths):
        monkeypatch.setattr(module, "CACHE", tmp_path / "kit")
    return tmp_path / "kit"


@pytest.fixture
def made(tmp_path: Path) -> kit.Kit:
    """What the kit makes, as far as the command line reads it."""
    rows = [
        {
            "distribution": distribution,
            "version": version,
            "file": f"ext-miniforge/{distribution}-{version}.sh",
            "sha256": f"sum of {distribution} {version}",
        }
        for version in ("25.1-0", "26.7.2-0")
        for distribution in ("miniforge", "miniconda")
    ]
    conda, rpm = tmp_path / "conda", tmp_path / "rpm"
    conda.mkdir()
    (conda / "kit.json").write_text(json.dumps({"installers": rows}))
    (rpm / "keys").mkdir(parents=True)
    for name in ("kit", "foreign"):
        (rpm / f"keys/{name}.asc").write_text(f"key of {name}\n")
    (tmp_path / "ca.crt").write_text("the authority\n")
    return kit.Kit({"conda": conda, "rpm": rpm, "pypi": tmp_path / "pypi"}, tmp_path / "ca.crt")


# ---------------------------------------------------------------- the choice


@pytest.mark.parametrize(
    ("choice", "answers", "wanted"),
    [("0", True, False), ("1", False, True), ("auto", True, True), ("auto", False, False)],
)
def test_the_choice(monkeypatch: pytest.MonkeyPatch, choice: str, answers: bool, wanted: bool) -> None:
    probe = Mock(return_value=answers)
    monkeypatch.setattr(kit, "upstream_answers", probe)
    assert kit.wants_upstream(choice) is wanted
    assert probe.called == (choice == "auto"), "who chose is not kept waiting by a probe"


@pytest.mark.parametrize("choice", ["", "2", "yes", "AUTO"])
def test_another_choice_is_refused(choice: str) -> None:
    with pytest.raises(RuntimeError) as error:
        kit.wants_upstream(choice)
    assert str(error.value) == (
        f"PYSTACK_UPSTREAM is {choice!r}: accepted are 0 (the offline kit), 1 (the real upstreams) and auto"
    )


@pytest.mark.parametrize(("status", "answers"), [(200, True), (403, False), (404, False), (503, False)])
def test_a_channel_answers_when_it_has_the_file(
    channel: str, monkeypatch: pytest.MonkeyPatch, status: int, answers: bool
) -> None:
    monkeypatch.setattr(kit, "PROBE", f"{channel}/{status}")
    assert kit.upstream_answers() is answers


def test_a_channel_out_of_reach_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(kit, "PROBE", "http://127.0.0.1:1/")
    assert kit.upstream_answers() is False


# ---------------------------------------------------------------- the inventory


def test_a_host_is_led_to_the_kit_by_variables_alone(made: kit.Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "BUNDLE", made.authority.with_name("no-bundle"))
    found = kit.variables(made)
    # For scenarios that choose an installer or write repositories themselves; no role knows them.
    own = {name: found.pop(name) for name in list(found) if name.startswith("kit_")}
    rpms = f"{BASE_URL}/rpm-rocky/$releasever"
    assert found == {
        "linux_base_dnf_repositories": [
            {
                "id": "kit-baseos",
                "name": "Offline kit: BaseOS (stand-in)",
                "baseurl": f"{rpms}/BaseOS/$basearch/os/",
                "gpgkey": "key of kit\n",
            },
            {
                "id": "kit-appstream",
                "name": "Offline kit: AppStream (stand-in)",
                "baseurl": f"{rpms}/AppStream/$basearch/os/",
                "gpgkey": "key of kit\n",
            },
        ],
        "miniconda_distribution": "miniforge",
        "miniconda_version": "26.7.2-0",
        "miniconda_checksum": "sum of miniforge 26.7.2-0",
        "miniconda_base_url": "http://pystack-kit/artifactory/ext-miniforge",
        "miniconda_channel_alias": "http://pystack-kit/artifactory/api/conda",
    }
    offered = own.pop("kit_installers")
    assert isinstance(offered, dict)
    assert offered["miniconda-25.1-0.sh"] == "sum of miniconda 25.1-0"
    assert own == {
        "kit_authority": "the authority\n",
        "kit_rpm_key": "key of kit\n",
        "kit_foreign_rpm_key": "key of foreign\n",
    }


def test_a_given_image_for_el9_has_repositories_of_its_own(made: kit.Kit) -> None:
    del made.made["rpm"]
    assert {name for name in kit.variables(made) if "dnf" in name or "rpm" in name} == set()


def test_the_real_upstreams_need_only_what_this_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.crt"
    monkeypatch.setattr(kit, "BUNDLE", bundle)
    assert kit.variables(None) == {}
    bundle.touch()
    assert kit.variables(None) == {"linux_base_ca_certificates": [{"name": "controller", "src": str(bundle)}]}


def test_the_inventory_says_what_it_leads_to_and_has_no_hosts(cache: Path, made: kit.Kit) -> None:
    for given, head in ((made, f"# {BANNER}"), (None, "# the real upstreams")):
        kit.write_inventory(given)
        text = (cache / "inventory/group_vars/all.yml").read_text()
        assert text.splitlines()[0] == head
        assert yaml.safe_load(text) == kit.variables(given)
        assert yaml.safe_load((cache / "inventory/hosts.yml").read_text()) == {"all": {}}


# ---------------------------------------------------------------- commands


@pytest.fixture
def steps(cache: Path, made: kit.Kit, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that a command takes; nothing reaches Docker."""
    taken: list[str] = []
    monkeypatch.setattr(images, "ensure", lambda image, log: taken.append(f"image {image.name}"))
    monkeypatch.setattr(server, "ensure_network", lambda: taken.append("network"))
    monkeypatch.setattr(server, "ensure_lan", lambda: taken.append("lan"))
    monkeypatch.setattr(server, "remove", lambda: taken.append("remove"))

    def ensure_content(wanted: list[parts.Part]) -> kit.Kit | None:
        taken.append(f"content {' '.join(part.name for part in wanted)}")
        names = {part.name for part in wanted}
        return kit.Kit({name: made.made[name] for name in names}, made.authority)

    monkeypatch.setattr(kit, "ensure_content", ensure_content)
    return taken


def command(monkeypatch: pytest.MonkeyPatch, word: str, upstream: str | None = None) -> int:
    monkeypatch.setattr("sys.argv", ["tests.kit", word])
    if upstream is None:
        monkeypatch.delenv("PYSTACK_UPSTREAM", raising=False)
    else:
        monkeypatch.setenv("PYSTACK_UPSTREAM", upstream)
    return kit.main()


@pytest.mark.parametrize("upstream", [None, "0"])
def test_ensure_makes_and_serves_the_kit(
    steps: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch, upstream: str | None
) -> None:
    assert command(monkeypatch, "ensure", upstream) == 0
    assert sorted(steps[:3]) == ["image deb12", "image deb13", "image el9"]
    assert steps[3:] == ["network", "lan", "content conda rpm pypi"]
    assert "miniconda_base_url" in (cache / "inventory/group_vars/all.yml").read_text()


def test_ensure_makes_no_kit_for_the_real_upstreams(
    steps: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(monkeypatch, "ensure", "1") == 0
    # The stand-in's packages have no other origin.
    assert steps[3:] == ["network", "lan", "content rpm"]
    written = (cache / "inventory/group_vars/all.yml").read_text()
    assert "linux_base_dnf_repositories" in written
    assert "miniconda_base_url" not in written


def test_who_wants_no_el9_waits_for_none_of_it(steps: list[str], cache: Path) -> None:
    kit.ensure("0", el9=False)
    assert sorted(steps[:2]) == ["image deb12", "image deb13"]
    assert steps[2:] == ["network", "lan", "content conda pypi"]


def test_nothing_is_served_where_nothing_is_wanted() -> None:
    assert kit.ensure_content([]) is None


def test_a_wrong_choice_is_said_before_anything_is_made(
    steps: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "ensure", "perhaps") == 1
    assert capsys.readouterr().err.startswith("kit: PYSTACK_UPSTREAM is 'perhaps': accepted are ")
    assert steps == []
    assert not cache.exists()


def test_down_removes_the_server(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(monkeypatch, "down") == 0
    assert steps == ["remove"]
