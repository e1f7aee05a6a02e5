# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Which role variables does no argument specification know?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def known_options(argument_specs: Mapping[str, Any]) -> list[str]:
    """Names of the options of all entry points, sorted.

    Accepts the whole parsed file or the mapping below its ``argument_specs`` key.
    """
    entry_points = argument_specs.get("argument_specs", argument_specs)
    if not isinstance(entry_points, Mapping):
        raise TypeError("argument_specs must be a mapping of entry points, got " + type(entry_points).__name__)
    names: set[str] = set()
    for entry_point, spec in entry_points.items():
        if not isinstance(spec, Mapping):
            raise TypeError(f"entry point {entry_point} must be a mapping, got {type(spec).__name__}")
        options = spec.get("options") or {}
        if not isinstance(options, Mapping):
            raise TypeError(f"options of entry point {entry_point} must be a mapping, got {type(options).__name__}")
        names.update(str(name) for name in options)
    return sorted(names)


def unknown_variables(names: Iterable[str], argument_specs: Mapping[str, Any]) -> list[str]:
    """One sentence for each name that no entry point knows, with the nearest known name."""
    known = known_options(argument_specs)
    sentences = []
    for name in sorted(set(names)):
        if name in known:
            continue
        sentence = f"{name} is not a variable of this role"
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        sentences.append(f"{sentence}; did you mean {nearest[0]}?" if nearest else f"{sentence}.")
    return sentences
