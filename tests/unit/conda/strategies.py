# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Versions, conditions and texts to try laws with."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

# Every run tries the same, so that no run of CI fails by chance.
bounded = settings(max_examples=150, deadline=None, derandomize=True)

numbers = st.lists(st.integers(0, 11), min_size=1, max_size=4)
numeric = numbers.map(lambda found: ".".join(map(str, found)))
_parts = st.sampled_from(["0", "1", "2", "10", "0a1", "1rc2", "rc", "dev", "2dev3", "post", "1post1", "b"])
mains = st.builds(
    lambda epoch, parts: epoch + ".".join(parts),
    st.sampled_from(["", "", "", "0!", "1!"]),
    st.lists(_parts, min_size=1, max_size=4),
)
locals_ = st.sampled_from(["", "", "+0", "+1", "+a.1", "+1.2"])
versions = st.builds(str.__add__, mains, locals_)
all_versions = st.builds(lambda main, tail, local: main + tail + local, mains, st.sampled_from(["", "", "_"]), locals_)

_ordered = st.builds(str.__add__, st.sampled_from(["", "==", "!=", "<", "<=", ">", ">="]), all_versions)
_prefixed = st.builds(
    lambda pair, version: pair[0] + version + pair[1],
    st.sampled_from([("=", ""), ("", ".*"), ("", "*"), ("!=", ".*"), ("=", ".*"), (">=", ".*")]),
    all_versions,
)
_compatible = st.builds("~={}.{}".format, mains, st.integers(0, 3))
conditions = _ordered | _prefixed | _compatible | st.sampled_from(["*", "=*", "1.*.3", r"^1\.(0|2).*$"])
conjunctions = st.lists(conditions, min_size=1, max_size=3).map(",".join)

_PIECES = [
    *(
        "numpy",
        "1",
        "2.0",
        "1.2",
        "rc1",
        "dev",
        "py36_0",
        "conda-forge",
        "https://h.example/c",
        "https://me:secret@h.example/c",
        "https://h.example/t/secret",
    ),
    *("linux-64", "version", "build", "build_number", "channel", "subdir", "=", "==", "!=", "<", ">=", "~=", "*", ".*"),
    *(
        "|",
        ",",
        " ",
        "[",
        "]",
        "'",
        '"',
        "::",
        ":",
        "/",
        ".",
        "_",
        "-",
        "+",
        "!",
        "^",
        "$",
        "(",
        ")",
        "#",
        "\n",
        "é",
        "٣",
    ),
]
# Whatever people may write: of pieces that mean something somewhere, so that some of it is understood, or of anything.
texts = st.lists(st.sampled_from(_PIECES), max_size=9).map("".join) | st.text(max_size=20)
