# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What runs on hosts needs no newer Python than theirs and nothing beside it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.support.target_side import ROOT, evaluated_unions, foreign_imports, imported, target_side, too_new

FILES = target_side()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at() -> None:
    names = {named(path) for path in FILES}
    assert {named(path) for path in ROOT.glob("plugins/modules/*.py")} < names
    assert {f"plugins/module_utils/{name}.py" for name in ("pem", "passwords", "jupyter_client")} < names
    # By way of modules of their own, and a package on the way.
    assert {f"plugins/module_utils/conda/{name}.py" for name in ("__init__", "apply", "version", "match")} < names


def test_what_filters_alone_need_is_not_on_hosts() -> None:
    assert ROOT / "plugins/module_utils/certificates.py" not in FILES


def test_hosts_have_all_of_it() -> None:
    assert too_new(FILES) == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_union_of_types_is_evaluated(path: Path) -> None:
    assert evaluated_unions(path) == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_only_the_standard_library_is_imported(path: Path) -> None:
    assert foreign_imports(path) == []


# ---------------------------------------------------------------- what these checks find


def sample(directory: Path, text: str) -> Path:
    path = directory / "plugins/modules/sample.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.mark.parametrize(
    ("text", "version", "what"),
    [
        ("import datetime\nprint(datetime.UTC)", "3.11", "'datetime.UTC' member"),
        ("from datetime import UTC", "3.11", "'datetime.UTC' member"),
        ("match 1:\n    case 1: pass", "3.10", "pattern matching"),
        ("try: pass\nexcept* OSError: pass", "3.11", "`except*`"),
        ("import itertools\nitertools.pairwise([])", "3.10", "'itertools.pairwise' member"),
        ("zip([], [], strict=True)", "3.10", "'zip(strict)'"),
        ("import tomllib", "3.11", "'tomllib' module"),
        ("def f():\n    import tomllib", "3.11", "'tomllib' module"),
        ("from enum import StrEnum", "3.11", "'enum.StrEnum' member"),
        ("from typing import TypeAlias", "3.10", "'typing.TypeAlias' member"),
        ("import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A: pass", "3.10", "dataclass(slots)"),
        ("import bisect\nbisect.bisect([], 1, key=str)", "3.10", "'bisect.bisect(key)'"),
        ("import ssl\nssl.VERIFY_X509_PARTIAL_CHAIN", "3.10", "'ssl.VERIFY_X509_PARTIAL_CHAIN' member"),
        ("import hashlib\nhashlib.file_digest(f, 'sha256')", "3.11", "'hashlib.file_digest' member"),
        ("import tomllib  # novermin", "3.11", "'tomllib' module"),
    ],
)
def test_what_is_newer_is_found(tmp_path: Path, text: str, version: str, what: str) -> None:
    (found,) = too_new([sample(tmp_path, text)])
    assert f":{version}:" in found
    assert what in found


@pytest.mark.parametrize("text", ["print(f'{'nested'}')", "type Name = str", "def f(:"])
def test_what_this_python_may_not_even_read_is_found(tmp_path: Path, text: str) -> None:
    assert too_new([sample(tmp_path, text)]) != []


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    old, new = sample(tmp_path / "old", "import json"), sample(tmp_path / "new", "import tomllib")
    assert [line.partition(":")[0] for line in too_new([old, new, old])] == [str(new)]


@pytest.mark.parametrize(
    "text",
    [
        "import re, ssl\nvalue = re.I | re.DOTALL\nvalue |= ssl.OP_NO_TLSv1",
        "a = {'x': 1} | {'y': 2}\nb = 'text'.removeprefix('t')\nc: list[str] = []",
        "import zoneinfo, graphlib\nfrom functools import cache",
    ],
)
def test_what_python_3_9_has_is_not(tmp_path: Path, text: str) -> None:
    path = sample(tmp_path, text)
    assert too_new([path]) == evaluated_unions(path) == foreign_imports(path, tmp_path) == []


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(x, str | None)",
        "isinstance(x, (int, str | bytes))",
        "Name = str | None",
        "Name = list[str] | tuple[str, ...]",
        "Name = re.Pattern | None",
        "Name = Record | Other",
        "cast(str | None, x)",
        "def f(x=int | str): ...",
        "def f(x: int): return cast(int | str, x)",
        "class A(Base[int | None]): ...",
        "x: int = cast(int | None, y)",
    ],
)
def test_a_union_of_types_that_is_evaluated_is_found(tmp_path: Path, code: str) -> None:
    (found,) = evaluated_unions(sample(tmp_path, f"from __future__ import annotations\n{code}"))
    assert found.startswith("2: ")
    assert found.partition(": ")[2] in code


@pytest.mark.parametrize(
    "code",
    [
        "def f(x: int | None, *y: str | None, z: A | B = 1) -> str | None: ...",
        "async def f(x: int | None) -> str | None: ...",
        "x: int | None = 1",
        "class A:\n    x: int | None",
        "Name = 'str | None'",
    ],
)
def test_a_union_in_an_annotation_is_not_evaluated_since_the_file_says_so(tmp_path: Path, code: str) -> None:
    assert evaluated_unions(sample(tmp_path, f"from __future__ import annotations\n{code}")) == []
    if "'" not in code:
        assert evaluated_unions(sample(tmp_path, code)) != []


@pytest.mark.parametrize(
    "code", ["1 | 2", "set(a) | b", "a | b", "{} | a", "re.I | re.M", "stat.S_IRUSR | stat.S_IXUSR"]
)
def test_other_values_are_no_types(tmp_path: Path, code: str) -> None:
    assert evaluated_unions(sample(tmp_path, code)) == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import requests", "requests"),
        ("import json, yaml.nodes", "yaml.nodes"),
        ("from cryptography.x509 import oid", "cryptography.x509"),
        ("def f():\n    import argon2", "argon2"),
        ("try:\n    import six\nexcept ImportError:\n    pass", "six"),
        ("from ansible.errors import AnsibleError", "ansible.errors"),
        ("from ansible import constants", "ansible.constants"),
        ("import ansible", "ansible"),
        ("from ansible_collections.community.general.plugins.module_utils import x", "ansible_collections.community"),
        ("from ansible_collections.pystack.infra.plugins.filter import conda", "infra.plugins.filter"),
        ("from ..filter import conda", "infra.plugins.filter"),
        ("from ansible_collections.pystack.infra.plugins import filter", "infra.plugins.filter"),
    ],
)
def test_what_hosts_do_not_have_is_found(tmp_path: Path, code: str, name: str) -> None:
    (found,) = foreign_imports(sample(tmp_path, code), tmp_path)
    assert name in found


def test_what_comes_with_a_module_is_not(tmp_path: Path) -> None:
    path = sample(
        tmp_path,
        """
        import json, xml.etree
        from ansible.module_utils.basic import AnsibleModule
        from ansible.module_utils import basic
        from ansible import module_utils
        from ansible_collections.pystack.infra.plugins.module_utils import pem
        from ..module_utils.conda import spec
        """,
    )
    assert foreign_imports(path, tmp_path) == []


def test_imports_are_followed(tmp_path: Path) -> None:
    for name, text in {
        "modules/one.py": "from ansible_collections.pystack.infra.plugins.module_utils import direct, a_constant",
        "modules/two.py": "def f():\n    from ..module_utils.package import inner",
        "module_utils/direct.py": "from . import sibling",
        "module_utils/sibling.py": "import ansible_collections.pystack.infra.plugins.module_utils.direct",
        "module_utils/package/__init__.py": "from .surface import name",
        "module_utils/package/surface.py": "",
        "module_utils/package/inner.py": "from ..upwards import name",
        "module_utils/package/unused.py": "",
        "module_utils/upwards.py": "",
        "module_utils/controller.py": "import cryptography",
        "filter/filters.py": "from ..module_utils import controller",
    }.items():
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert [str(path.relative_to(tmp_path / "plugins")) for path in target_side(tmp_path)] == [
        "module_utils/direct.py",
        "module_utils/package/__init__.py",
        "module_utils/package/inner.py",
        "module_utils/package/surface.py",
        "module_utils/sibling.py",
        "module_utils/upwards.py",
        "modules/one.py",
        "modules/two.py",
    ]


def test_a_test_may_ask_what_it_imports() -> None:
    assert imported(ROOT / "tests/unit/test_pem.py") == {ROOT / "plugins/module_utils/pem.py"}
