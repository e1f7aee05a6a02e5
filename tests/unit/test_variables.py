# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The typo guard of the roles."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.filter.variables import FilterModule
from ansible_collections.pystack.infra.plugins.module_utils import variables

SPECS: dict[str, Any] = {
    "argument_specs": {
        "main": {"options": {"jupyter_ssl_port": {}, "jupyter_ssl_user": {}}},
        "rotate": {"options": {"jupyter_ssl_certificate_days": {}}},
        "empty": {},
    }
}


def test_a_typo_is_answered_with_the_nearest_name() -> None:
    assert variables.unknown_variables(["jupyter_ssl_prot", "jupyter_ssl_user"], SPECS) == [
        "jupyter_ssl_prot is not a variable of this role; did you mean jupyter_ssl_port?"
    ]


def test_all_entry_points_count() -> None:
    assert variables.unknown_variables(["jupyter_ssl_certificate_days"], SPECS) == []
    assert variables.known_options(SPECS["argument_specs"]) == variables.known_options(SPECS)


def test_no_guess_is_made_for_a_name_far_from_all() -> None:
    assert variables.unknown_variables(["zzz"], SPECS) == ["zzz is not a variable of this role."]


def test_answers_are_sorted_and_each_name_once() -> None:
    answer = variables.unknown_variables(["zz", "aa", "zz"], SPECS)
    assert [sentence.split()[0] for sentence in answer] == ["aa", "zz"]


@pytest.mark.parametrize(
    ("names", "specs", "message"),
    [
        ("jupyter_ssl_port", SPECS, "needs a list of variable names, got str"),
        ({"a": 1}, SPECS, "needs a list of variable names, got dict"),
        (None, SPECS, "needs a list of variable names, got NoneType"),
        ([1], SPECS, "needs names that are strings, got int: 1"),
        (["a"], [], "needs the parsed meta/argument_specs.yml, got list"),
        (["a"], {"main": []}, "entry point main must be a mapping, got list"),
        (["a"], {"argument_specs": []}, "argument_specs must be a mapping of entry points, got list"),
        (["a"], {"main": {"options": ["b"]}}, "options of entry point main must be a mapping, got list"),
    ],
)
def test_wrong_input_is_named(names: object, specs: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"pystack\.infra\.unknown_variables") as error:
        FilterModule().filters()["unknown_variables"](names, specs)
    assert message in str(error.value)
