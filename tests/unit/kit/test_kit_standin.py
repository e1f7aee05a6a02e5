"""The stand-in's parts that need no package library: settings, channels, history, activation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.conda_standin import activation, channels, config, history, prefix
from tests.kit.conda_standin.errors import ChannelNotAllowed, NoChannelsConfiguredError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home and a base environment of the test's own, and no setting from outside."""
    for variable in [name for name in os.environ if name.startswith("CONDA")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(config, "ROOT", str(tmp_path / "base"))
    monkeypatch.setattr(prefix, "ROOT", str(tmp_path / "base"))
    monkeypatch.setattr(activation, "ROOT", str(tmp_path / "base"))
    config.settings.cache_clear()
    yield tmp_path
    config.settings.cache_clear()


def configure(home: Path, text: str) -> None:
    (home / ".condarc").write_text(text)
    config.settings.cache_clear()


def environment(folder: Path, *names: str) -> Path:
    (folder / "conda-meta").mkdir(parents=True)
    for name in names:
        record = {
            "name": name,
            "version": "1",
            "build": "0",
            "subdir": "noarch",
            "channel": "http://kit/main",
        }
        (folder / f"conda-meta/{name}-1-0.json").write_text(json.dumps(record))
    return folder


def source(final: set[str] | None = None, **values: object) -> config.Source:
    return config.Source(Path("rc"), values, frozenset(final or ()))


def test_later_files_outrank_and_lists_are_joined() -> None:
    merged = config.merge([source(channels=["a", "b"], solver="x"), source(channels=["c", "a"], solver="y")])
    assert merged == {"channels": ["c", "a", "b"], "solver": "y"}


def test_a_final_value_stays() -> None:
    layers = [source({"channels", "solver"}, channels=["a"], solver="x"), source(channels=["b"], solver="y")]
    assert config.merge(layers) == {"channels": ["a"], "solver": "x"}


def test_final_is_read_from_comments(home: Path) -> None:
    file = home / "rc.yml"
    file.write_text("channels: [a] #!final\nsolver: x # not final\n")
    assert config.read(file).final == {"channels"}


def test_variables_are_split_by_the_kind_of_list() -> None:
    found = config.from_variables({"CONDA_CHANNELS": "a,b", "CONDA_ENVS_PATH": "/x:/y", "CONDA_EXE": "/c"})
    assert found == {"channels": ["a", "b"], "envs_dirs": ["/x", "/y"]}


def test_channel_addresses(home: Path) -> None:
    configure(
        home,
        "channel_alias: http://kit/channels/\n"
        "default_channels: [http://kit/main]\n"
        "custom_channels: {own: http://other}\n"
        "custom_multichannels: {both: [own, conda-forge]}\n",
    )
    assert channels.resolve(["conda-forge", "defaults", "nodefaults"]) == [
        "http://kit/channels/conda-forge",
        "http://kit/main",
    ]
    assert channels.urls_of("both") == ["http://other/own", "http://kit/channels/conda-forge"]
    assert channels.name_of("http://kit/channels/conda-forge/noarch") == "conda-forge"
    assert channels.name_of("http://kit/main/") == "defaults"


def test_only_allowed_channels_are_used(home: Path) -> None:
    configure(home, "channel_alias: http://kit\nallowlist_channels: [tiny]\n")
    assert channels.selected(["tiny"]) == ["http://kit/tiny"]
    with pytest.raises(ChannelNotAllowed):
        channels.selected(["tiny", "other"])


def test_no_channel_is_an_error() -> None:
    with pytest.raises(NoChannelsConfiguredError):
        channels.selected([])


@pytest.mark.parametrize(
    ("spec", "name"),
    [("six", "six"), ("Six>=1", "six"), ("conda-forge::six 1.* py_0", "six"), ("six[version='1']", "six")],
)
def test_spec_name(spec: str, name: str) -> None:
    assert prefix.spec_name(spec) == name


def test_history_gives_back_what_was_asked_for(home: Path) -> None:
    path = str(environment(home / "env", "six", "python"))
    records = prefix.installed(path)
    history.append(path, [], records, ["python=3.11", "six"])
    history.append(path, records, records[:1], ["six"], "remove")
    assert history.requested(path) == {"python": "python=3.11"}
    assert [len(revision.added) for revision in history.revisions(path)] == [2, 0]
    assert history.state_at(path, 0) == {
        "http://kit/main/noarch::six-1-0",
        "http://kit/main/noarch::python-1-0",
    }
    assert len(history.state_at(path, 1)) == 1


def test_closures_over_dependencies() -> None:
    records = [
        {"name": "app", "depends": ["lib >=1", "python"]},
        {"name": "lib", "depends": ["python"]},
        {"name": "python", "depends": []},
        {"name": "pip", "depends": ["python"]},
    ]
    assert prefix.with_dependents({"lib"}, records) == {"lib", "app"}
    assert prefix.with_dependencies(["lib"], records) == {"lib", "python", "pip"}


def test_activation_and_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (str(environment(home / name, "python")) for name in ("one", "two"))
    monkeypatch.setenv("PATH", "/usr/bin")
    for target in (first, second):
        for name, value in activation.entering(target).items():
            monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    assert os.environ["CONDA_SHLVL"] == "2"
    assert os.environ["PATH"] == f"{second}/bin:{home}/base/condabin:/usr/bin"
    changes = activation.leaving()
    assert (changes["CONDA_PREFIX"], changes["CONDA_SHLVL"], changes["CONDA_PREFIX_1"]) == (first, "1", None)
    assert changes["PATH"] == f"{first}/bin:{home}/base/condabin:/usr/bin"


def test_statements_quote_and_do_not_export_the_prompt() -> None:
    assert activation.statements({"A": "x y", "B": None, "PS1": "$ "}) == [
        "export A='x y'",
        "unset B",
        "PS1='$ '",
    ]
