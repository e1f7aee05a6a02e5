# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""environment.yml: what is understood, the exact words for what is not, and that what is written is read again.

Source: CEP 24 (https://conda.org/learn/ceps/cep-0024).
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.environment_file import (
    read_environment_file,
    write_environment_file,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import read_declarations
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.conda.strategies import bounded, texts

DOCUMENT: dict[str, Any] = {
    "name": "lab",
    "channels": ["conda-forge", "https://conda.example/c", "nodefaults"],
    "dependencies": ["python=3.11", "numpy 1.26.*", "conda-forge::pandas>=2,<3", {"pip": ["iniconfig==2.0.0"]}, "pip"],
    "variables": {"OMP_NUM_THREADS": "4"},
    "prefix": "/home/me/miniconda3/envs/lab",
}
DECLARATION = {
    "name": "lab",
    "channels": ["conda-forge", "https://conda.example/c"],
    "packages": ["python=3.11", "numpy 1.26.*", "conda-forge::pandas>=2,<3", "pip"],
    "pip": ["iniconfig==2.0.0"],
    "variables": {"OMP_NUM_THREADS": "4"},
}
TEXT = """\
name: lab
channels:
  - conda-forge
  - https://conda.example/c
dependencies:
  - python=3.11
  - numpy 1.26.*
  - conda-forge::pandas>=2,<3
  - pip
  - pip:
      - iniconfig==2.0.0
variables:
  OMP_NUM_THREADS: "4"
"""


def read(document: Any) -> dict[str, Any]:
    return read_environment_file(document, "environment.yml")


def write(declaration: dict[str, Any]) -> str:
    keys = {"name": "", "channels": [], "packages": [], "pip": [], "variables": {}}
    return write_environment_file(**{**keys, **declaration})


# ---------------------------------------------------------------- reading


def test_a_file_becomes_a_declaration() -> None:
    assert read(DOCUMENT) == DECLARATION
    assert read_declarations([read(DOCUMENT)])[0].name == "lab"


@pytest.mark.parametrize(
    ("document", "declaration"),
    [
        ({}, {}),
        ({"dependencies": []}, {"packages": []}),
        # Sections that were left empty.
        ({"name": None, "channels": None, "dependencies": None, "variables": None, "prefix": None}, {}),
        ({"dependencies": ["numpy", {"pip": None}]}, {"packages": ["numpy"], "pip": []}),
        ({"channels": []}, {"channels": []}),
        ({"prefix": 5}, {}),
        # What is wrong inside a string is found where all declarations are checked.
        ({"name": "a/b", "dependencies": ["numpy=>1"]}, {"name": "a/b", "packages": ["numpy=>1"]}),
    ],
)
def test_only_what_the_file_has_is_there(document: Any, declaration: Any) -> None:
    assert read(document) == declaration


KNOWN = "known keys: name, channels, dependencies, variables, prefix"
OPTION = (
    "is an option for pip; only requirements are accepted: list what a requirements file has, "
    "and set an index in pip's own configuration"
)
MAPPING = "a mapping with name, channels, dependencies, variables is expected, as conda's environment.yml has it"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, MAPPING),
        ("numpy", MAPPING),
        ([{"name": "lab"}], MAPPING),
        ({"dependancies": []}, "'dependancies' is not a known key; did you mean 'dependencies'?"),
        ({"channel": []}, "'channel' is not a known key; did you mean 'channels'?"),
        ({"packages": []}, f"'packages' is not a known key; {KNOWN}"),
        ({5: []}, f"'5' is not a known key; {KNOWN}"),
        ({"name": 5}, "name is not a string; quote it"),
        ({"channels": "conda-forge"}, "channels is not a list"),
        ({"channels": ["conda-forge", {"a": 1}]}, "channels[1] is not a string; quote it"),
        (
            {"channels": ["nodefaults"]},
            "channels has only 'nodefaults', which is not a channel; name at least one channel",
        ),
        ({"dependencies": "numpy"}, "dependencies is not a list"),
        ({"dependencies": {"numpy": "1"}}, "dependencies is not a list"),
        ({"dependencies": ["numpy", 3.1]}, "dependencies[1] is not a string; quote it"),
        ({"dependencies": [None]}, "dependencies[0] is not a string; quote it"),
        (
            {"dependencies": [{"npm": ["left-pad"], "pip": []}]},
            "dependencies[0] is a mapping of npm, pip; a package, or one list of requirements under 'pip'",
        ),
        (
            {"dependencies": [{"sel(win)": "pywin32"}]},
            "dependencies[0] is a mapping of sel(win); a package, or one list of requirements under 'pip'",
        ),
        (
            {"dependencies": [{"pip": ["a"]}, "numpy", {"pip": ["b"]}]},
            "dependencies[2] is a second list under 'pip'; write one",
        ),
        ({"dependencies": [{"pip": "a"}]}, "dependencies[0].pip is not a list"),
        ({"dependencies": [{"pip": ["a", 1.0]}]}, "dependencies[0].pip[1] is not a string; quote it"),
        (
            {"dependencies": ["numpy", {"pip": ["a", "-r requirements.txt"]}]},
            f"dependencies[1].pip[1]: '-r requirements.txt' {OPTION}",
        ),
        (
            {"dependencies": [{"pip": [" --index-url https://me:secret@h.example/simple"]}]},
            f"dependencies[0].pip[0]: ' --index-url https://***@h.example/simple' {OPTION}",
        ),
        ({"variables": ["A=1"]}, "variables is not a mapping"),
        ({"variables": {"A": 4}}, "variables.A is not a string; quote it"),
        ({"variables": {"A": True}}, "variables.A is not a string; quote it"),
        ({"variables": {"A": None}}, "variables.A is not a string; quote it"),
        ({"variables": {False: "1"}}, "variables: the name False is not a string; quote it"),
    ],
)
def test_what_is_refused(document: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        read(document)
    assert str(error.value) == f"environment.yml: {message}"
    assert "secret" not in str(error.value)


# ---------------------------------------------------------------- writing


def test_a_file_that_people_can_read() -> None:
    assert write(DECLARATION) == TEXT


@pytest.mark.parametrize(
    ("declaration", "text"),
    [
        ({}, "dependencies: []\n"),
        ({"name": "lab"}, "name: lab\ndependencies: []\n"),
        ({"pip": ["a"]}, "dependencies:\n  - pip:\n      - a\n"),
        ({"variables": {"A": "b"}}, "dependencies: []\nvariables:\n  A: b\n"),
    ],
)
def test_what_is_empty_is_left_out(declaration: Any, text: str) -> None:
    assert write(declaration) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("numpy", "numpy"),
        ("python >=3.11,<3.13", "python >=3.11,<3.13"),
        ("conda-forge::numpy", "conda-forge::numpy"),
        ("https://h.example:8080/c", "https://h.example:8080/c"),
        ("", '""'),
        ("3.10", '"3.10"'),
        ("1e3", '"1e3"'),
        ("0x1f", '"0x1f"'),
        ("2024-01-01", '"2024-01-01"'),
        ("~", '"~"'),
        ("a: b", '"a: b"'),
        ("a:", '"a:"'),
        ("a #b", '"a #b"'),
        ("a#b", '"a#b"'),
        ("- a", '"- a"'),
        ("a - b", '"a - b"'),
        ("*a", '"*a"'),
        (" a", '" a"'),
        ("a ", '"a "'),
        ("numpy[version='>=1']", "\"numpy[version='>=1']\""),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\nb\r\t", '"a\\nb\\r\\t"'),
        ("é\U0001f600", '"é\U0001f600"'),
        ("\x00\x7f\x85\u2028\ufeff", '"\\U00000000\\U0000007F\\U00000085\\U00002028\\U0000FEFF"'),
    ],
)
def test_quotes_are_where_yaml_needs_them(value: str, written: str) -> None:
    assert write({"packages": [value]}) == f"dependencies:\n  - {written}\n"


@pytest.mark.parametrize("word", ["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
def test_words_that_yaml_takes_for_something_else_are_quoted(word: str) -> None:
    """Whatever the case, and although no parser takes all of them so."""
    for written in (word, word.upper(), word.capitalize()):
        assert write({"name": written}) == f'name: "{written}"\ndependencies: []\n'
    assert write({"name": f"{word}x"}) == f"name: {word}x\ndependencies: []\n"


# ---------------------------------------------------------------- both

words = st.sampled_from(["yes", "NO", "null", "1.10", "0o7", "1_000", "12:30:45", ".inf", "=", "<<", "!x", "&x", "%x"])
strings = texts | words | st.text(max_size=12)
declarations = st.fixed_dictionaries(
    {
        "name": strings.filter(bool),
        "channels": st.lists(strings.filter(lambda text: text != "nodefaults"), min_size=1, max_size=3),
        "packages": st.lists(strings, max_size=4),
        "pip": st.lists(strings.filter(lambda text: not text.lstrip().startswith("-")), min_size=1, max_size=3),
        "variables": st.dictionaries(strings, strings, min_size=1, max_size=3),
    }
)


# A host has no YAML parser, which is why this is written by hand.
@pytest.mark.controller
@bounded
@given(declarations)
@example(DECLARATION)
def test_what_is_written_is_read_again(declaration: dict[str, Any]) -> None:
    import yaml

    assert read(yaml.safe_load(write(declaration))) == declaration


@pytest.mark.controller
@bounded
@given(strings)
def test_no_value_spills_into_another_line(text: str) -> None:
    import yaml

    lines = write({"packages": [text, "numpy"], "variables": {text: text}}).split("\n")
    assert len(lines) == len(["dependencies:", "- text", "- numpy", "variables:", "text: text", ""])
    assert yaml.safe_load("\n".join(lines)) == {"dependencies": [text, "numpy"], "variables": {text: text}}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=3),
    max_leaves=6,
)
sections = st.sampled_from(["name", "channels", "dependencies", "variables", "prefix"])


@bounded
@given(anything | st.dictionaries(sections, anything) | anything.map(lambda found: {"dependencies": [{"pip": found}]}))
def test_anything_is_a_declaration_or_is_refused_in_words(document: Any) -> None:
    try:
        found = read(document)
    except ValueError as error:
        assert str(error).startswith("environment.yml: ")
    else:
        assert set(found) <= set(DECLARATION)
