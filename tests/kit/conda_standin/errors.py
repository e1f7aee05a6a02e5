"""Errors as conda reports them: a name, a message, fields of their own, an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def bullets(items: Iterable[str]) -> str:
    return "".join(f"\n  - {item}" for item in items)


class CondaError(Exception):
    """Any failure that is reported by name, in text or as JSON."""

    exit_code = 1

    def __init__(self, message: str, **fields: Any):
        super().__init__(message)
        self.fields = fields

    def as_json(self) -> dict[str, Any]:
        name = type(self).__name__
        return {
            "caused_by": "None",
            "error": f"{name}: {self}",
            "exception_name": name,
            "exception_type": f"<class 'conda.exceptions.{name}'>",
            "message": str(self),
            **self.fields,
        }


class ArgumentError(CondaError):
    exit_code = 2


class ChannelDenied(CondaError):
    """A channel on the list of forbidden ones."""


class ChannelNotAllowed(CondaError):
    """A channel outside the list of permitted ones."""


class CondaEnvException(CondaError):
    pass


class CondaEnvironmentError(CondaError):
    pass


class CondaKeyError(CondaError):
    pass


class CondaSystemExit(CondaError):
    pass


class CondaValueError(CondaError):
    pass


class ConfigurationLoadError(CondaError):
    pass


class EnvironmentFileNotFound(CondaError):
    pass


class LibMambaUnsatisfiableError(CondaError):
    """No combination of packages satisfies what was asked for."""


class NoChannelsConfiguredError(CondaError):
    pass


class NoWritablePkgsDirError(CondaError):
    pass


class UnavailableInvalidChannel(CondaError):
    pass


class DirectoryNotACondaEnvironmentError(CondaError):
    pass


class EnvironmentIsFrozenError(CondaError):
    pass


class EnvironmentNotWritableError(CondaError):
    pass


class EnvironmentLocationNotFound(CondaError):
    def __init__(self, location: str):
        super().__init__(f"Not a conda environment: {location}", location=location)


class EnvironmentNameNotFound(CondaError):
    def __init__(self, name: str):
        hint = "`conda info --envs` lists those that can be found."
        super().__init__(f"Could not find conda environment: {name}\n{hint}", environment_name=name)


class PackageNotInstalledError(CondaError):
    def __init__(self, prefix: str, name: str):
        text = f"Package is not installed in prefix.\n  prefix: {prefix}\n  package name: {name}"
        super().__init__(text, prefix=prefix, package_name=name)


class PackagesNotFoundInChannelsError(CondaError):
    def __init__(self, specs: list[str], urls: list[str]):
        listed = bullets(specs)
        text = f"No channel offers these packages:\n{listed}\n\nCurrent channels:\n{bullets(urls)}\n"
        super().__init__(text, packages=specs, packages_formatted=listed, channel_urls=urls)


class PackagesNotFoundInPrefixError(CondaError):
    def __init__(self, specs: list[str], prefix: str):
        listed = bullets(specs)
        text = f"These packages are missing from the environment:\n  prefix: {prefix}\n{listed}\n"
        super().__init__(text, package_name=specs, packages_formatted=listed, prefix=prefix)
