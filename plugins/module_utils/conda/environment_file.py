# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""conda's environment.yml, as a declaration and as text. Parsing YAML is left to those who have a parser.

Sources: CEP 24 "Specification of environment.yml input files" (https://conda.org/learn/ceps/cep-0024), and YAML 1.1
(https://yaml.org/spec/1.1/) for what a plain scalar may be misread as.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from .match import redact

_KEYS = ("name", "channels", "dependencies", "variables", "prefix")
# Letters first: neither a number, nor a date, nor an indicator. A colon or a space inside must not end the scalar.
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./=<>,*+!~-]|:(?=[A-Za-z0-9_/:])| (?=[A-Za-z0-9_=<>*!~]))*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def read_environment_file(document: Any, source: str) -> dict[str, Any]:
    """Turn a parsed environment.yml into a declaration as the module conda_env takes it.

    Only what the file has is there: ``name``, ``channels`` (without 'nodefaults'), ``packages``, ``pip`` and
    ``variables``; ``prefix`` is a path of another machine. What strings mean is left to the checks of declarations.
    Raises ValueError, beginning with ``source`` and naming the place, for anything else.
    """
    try:
        return _declaration(document)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _declaration(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise ValueError(f"a mapping with {', '.join(_KEYS[:-1])} is expected, as conda's environment.yml has it")
    for key in document:
        if key not in _KEYS:
            raise ValueError(_unknown(str(key)))
    found = {key: value for key, value in document.items() if value is not None}
    declaration: dict[str, Any] = {}
    if "name" in found:
        declaration["name"] = _string(found["name"], "name")
    if "channels" in found:
        declaration["channels"] = _channels(found["channels"])
    if "dependencies" in found:
        declaration.update(_dependencies(found["dependencies"]))
    if "variables" in found:
        declaration["variables"] = _variables(found["variables"])
    return declaration


def _unknown(key: str) -> str:
    close = get_close_matches(key, _KEYS, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(_KEYS)}"
    return f"'{key}' is not a known key; {hint}"


def _string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{place} is not a string; quote it")
    return str(value)


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{place} is not a list")
    return value


def _strings(values: Any, place: str) -> list[str]:
    return [_string(value, f"{place}[{index}]") for index, value in enumerate(_list(values, place))]


def _channels(values: Any) -> list[str]:
    channels = _strings(values, "channels")
    kept = [channel for channel in channels if channel != "nodefaults"]
    if channels and not kept:
        raise ValueError("channels has only 'nodefaults', which is not a channel; name at least one channel")
    return kept


def _dependencies(values: Any) -> dict[str, list[str]]:
    packages: list[str] = []
    found = {"packages": packages}
    for index, value in enumerate(_list(values, "dependencies")):
        place = f"dependencies[{index}]"
        if not isinstance(value, Mapping):
            packages.append(_string(value, place))
        elif list(value) != ["pip"]:
            keys = ", ".join(map(str, value))
            raise ValueError(f"{place} is a mapping of {keys}; a package, or one list of requirements under 'pip'")
        elif "pip" in found:
            raise ValueError(f"{place} is a second list under 'pip'; write one")
        else:
            found["pip"] = _requirements(value["pip"], f"{place}.pip")
    return found


def _requirements(values: Any, place: str) -> list[str]:
    requirements = _strings([] if values is None else values, place)
    for index, text in enumerate(requirements):
        if text.lstrip().startswith("-"):
            raise ValueError(
                f"{place}[{index}]: '{redact(text)}' is an option for pip; only requirements are accepted: list "
                "what a requirements file has, and set an index in pip's own configuration"
            )
    return requirements


def _variables(values: Any) -> dict[str, str]:
    if not isinstance(values, Mapping):
        raise ValueError("variables is not a mapping")
    return {
        _string(name, f"variables: the name {name!r}"): _string(value, f"variables.{name}")
        for name, value in values.items()
    }


def write_environment_file(
    name: str, channels: Sequence[str], packages: Sequence[str], pip: Sequence[str], variables: Mapping[str, str]
) -> str:
    """Write an environment.yml; what is empty is left out, but for the dependencies, which conda wants to see."""
    lines = [f"name: {_scalar(name)}"] if name else []
    lines += ["channels:", *_items(channels, "  ")] if channels else []
    lines += ["dependencies:" if packages or pip else "dependencies: []", *_items(packages, "  ")]
    lines += ["  - pip:", *_items(pip, "      ")] if pip else []
    lines += ["variables:"] if variables else []
    lines += [f"  {_scalar(key)}: {_scalar(value)}" for key, value in variables.items()]
    return "".join(f"{line}\n" for line in lines)


def _items(values: Iterable[str], indent: str) -> list[str]:
    return [f"{indent}- {_scalar(value)}" for value in values]


def _scalar(text: str) -> str:
    """The string as it is where YAML reads that as the same string, otherwise in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08X}"
