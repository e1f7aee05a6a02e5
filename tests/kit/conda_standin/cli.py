"""The command line: options, subcommands, and how errors end."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import BANNER, activation, change, environments, maintenance, show
from .errors import ArgumentError, CondaError, CondaKeyError
from .output import banner, emit, warn
from .version import VERSION

Command = Callable[[argparse.Namespace], Any]

#: Options of conda that change nothing here, taken so that callers need not know.
IGNORED_FLAGS = (
    "--clobber",
    "--copy",
    "--dev",
    "--download-only",
    "--force-reinstall",
    "--insecure",
    "--no-channel-priority",
    "--no-pin",
    "--no-update-deps",
    "--offline",
    "--satisfied-skip-solve",
    "--show-channel-urls",
    "--strict-channel-priority",
    "--update-deps",
    "--update-specs",
    "--use-index-cache",
    "--use-local",
)
IGNORED_OPTIONS = ("--experimental-solver", "--platform", "--repodata-fn", "--solver", "--subdir")


class Parser(argparse.ArgumentParser):
    """Reports wrong usage as JSON where JSON was asked for."""

    def error(self, message: str) -> NoReturn:
        if "--json" in sys.argv:
            raise ArgumentError(message)
        super().error(message)


class Version(argparse.Action):
    """The version, alone on standard output: tools parse it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"conda {VERSION}")
        banner()
        parser.exit()


def common(*, target: bool = True, channels: bool = False, changes: bool = False) -> argparse.ArgumentParser:
    """The options that several subcommands share."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-v", "--verbose", action="count")
    if target:
        where = parser.add_mutually_exclusive_group()
        where.add_argument("-n", "--name")
        where.add_argument("-p", "--prefix")
    if channels:
        parser.add_argument("-c", "--channel", action="append", default=[])
        parser.add_argument("-O", "--override-channels", action="store_true")
        for option in IGNORED_OPTIONS:
            parser.add_argument(option, help=argparse.SUPPRESS)
    if changes:
        parser.add_argument("-y", "--yes", action="store_true")
        parser.add_argument("-d", "--dry-run", action="store_true")
        parser.add_argument("--override-frozen", action="store_true")
        parser.add_argument("--freeze-installed", "--no-update-installed", action="store_true")
        for flag in IGNORED_FLAGS:
            parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    return parser


def build_parser() -> Parser:
    parser = Parser(prog="conda", description=f"{BANNER}. It manages environments of conda packages.")
    parser.add_argument("-V", "--version", action=Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_change_commands(commands)
    add_environment_commands(commands)
    add_show_commands(commands)
    add_maintenance_commands(commands)
    return parser


def add_change_commands(commands: Any) -> None:
    parents = [common(channels=True, changes=True)]
    for name, function, text in (
        ("create", change.create, "create an environment"),
        ("install", change.install, "add or change packages"),
        ("update", change.install, "update packages"),
        ("upgrade", change.install, "the same as update"),
    ):
        parser = commands.add_parser(name, parents=parents, help=text)
        parser.add_argument("packages", nargs="*")
        parser.add_argument("-f", "--file", action="append", default=[])
        if name == "create":
            parser.add_argument("--clone", metavar="ENVIRONMENT")
            parser.add_argument("--no-default-packages", action="store_true")
        else:
            parser.add_argument("--all", "--update-all", action="store_true")
            parser.add_argument("--revision", metavar="NUMBER")
        parser.set_defaults(function=function)
    for name in ("remove", "uninstall"):
        parser = commands.add_parser(name, parents=parents, help="remove packages, or --all for an environment")
        parser.add_argument("packages", nargs="*")
        parser.add_argument("--all", action="store_true")
        parser.add_argument("--force-remove", "--force", action="store_true")
        parser.set_defaults(function=change.remove)


def add_environment_commands(commands: Any) -> None:
    group = commands.add_parser("env", help="environments as files").add_subparsers(dest="subcommand", required=True)
    changing = [common(channels=True, changes=True)]
    for name, function in (("create", environments.env_create), ("update", environments.env_update)):
        parser = group.add_parser(name, parents=changing)
        parser.add_argument("-f", "--file", action="append", default=[])
        parser.add_argument("--force", action="store_true")
        parser.add_argument("--no-default-packages", action="store_true")
        parser.add_argument("--prune", action="store_true")
        parser.set_defaults(function=function)
    group.add_parser("remove", parents=changing).set_defaults(function=environments.env_remove)
    group.add_parser("list", parents=[common(target=False)]).set_defaults(function=environments.env_list)
    for parser in (
        group.add_parser("export", parents=[common()]),
        commands.add_parser("export", parents=[common()]),
    ):
        parser.add_argument("-c", "--channel", action="append", default=[])
        parser.add_argument("-f", "--file", action="append", default=[])
        parser.add_argument("--format")
        parser.add_argument("--from-history", action="store_true")
        parser.add_argument("--ignore-channels", action="store_true")
        parser.add_argument("--no-builds", action="store_true")
        parser.add_argument("--override-channels", action="store_true")
        parser.set_defaults(function=environments.export)
    add_variable_commands(group.add_parser("config"))


def add_variable_commands(parser: argparse.ArgumentParser) -> None:
    section = parser.add_subparsers(dest="section", required=True).add_parser("vars")
    actions = section.add_subparsers(dest="action", required=True)
    for name in ("list", "set", "unset"):
        action = actions.add_parser(name, parents=[common()])
        if name != "list":
            action.add_argument("words", nargs="+", metavar="NAME=VALUE" if name == "set" else "NAME")
        action.set_defaults(function=environments.config_vars)


def add_show_commands(commands: Any) -> None:
    parser = commands.add_parser("list", parents=[common()], help="list the packages of an environment")
    parser.add_argument("regex", nargs="?")
    parser.add_argument("-f", "--full-name", action="store_true")
    parser.add_argument("-e", "--export", action="store_true")
    parser.add_argument("-r", "--revisions", action="store_true")
    for flag in ("--explicit", "--md5", "--no-pip", "--sha256", "--show-channel-urls"):
        parser.add_argument(flag, action="store_true")
    parser.set_defaults(function=show.packages)
    parser = commands.add_parser("info", parents=[common(target=False)], help="tell about this installation")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-e", "--envs", action="store_true")
    parser.add_argument("--base", action="store_true")
    parser.set_defaults(function=show.info)
    parser = commands.add_parser("search", parents=[common(channels=True)], help="search the channels")
    parser.add_argument("packages", nargs="*", metavar="SPECIFICATION")
    parser.set_defaults(function=show.search)


def add_maintenance_commands(commands: Any) -> None:
    parser = commands.add_parser("config", parents=[common()], help="show and change settings")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--system", action="store_true")
    where.add_argument("--env", action="store_true")
    where.add_argument("--file", "-f")
    for option in ("--add", "--append", "--prepend", "--remove", "--set"):
        parser.add_argument(option, nargs=2, action="append", default=[], metavar=("KEY", "VALUE"))
    parser.add_argument("--remove-key", action="append", default=[], metavar="KEY")
    parser.add_argument("--get", nargs="*", metavar="KEY")
    parser.add_argument("--show", nargs="*", metavar="KEY")
    parser.add_argument("--show-sources", action="store_true")
    parser.set_defaults(function=maintenance.settings)
    parser = commands.add_parser("clean", parents=[common(target=False, changes=True)], help="empty the package caches")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-i", "--index-cache", action="store_true")
    parser.add_argument("-p", "--packages", action="store_true")
    parser.add_argument("-t", "--tarballs", action="store_true")
    parser.set_defaults(function=maintenance.clean)
    parser = commands.add_parser("run", help="run a command in an environment")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--name")
    where.add_argument("-p", "--prefix")
    parser.add_argument("--cwd")
    parser.add_argument("--no-capture-output", "--live-stream", "-s", action="store_true")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    parser.set_defaults(function=maintenance.run)
    parser = commands.add_parser("init", parents=[common(target=False)], help="let shells know conda")
    parser.add_argument("shells", nargs="*", metavar="SHELL")
    for flag in ("--reverse", "--system", "--user"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-d", "--dry-run", action="store_true")
    parser.set_defaults(function=maintenance.init)


def main(words: list[str]) -> int:
    """Do what the words say; give the exit code."""
    try:
        if words[:1] and words[0].startswith("shell."):
            activation.shell(words[1:])
            return 0
        parser = build_parser()
        args = parser.parse_args(words)
        if args.command is None:
            parser.print_help()
            return 0
        return int(args.function(args) or 0)
    except CondaError as error:
        return report(error, as_json="--json" in words)


def report(error: CondaError, as_json: bool) -> int:
    if as_json:
        emit(error.as_json())
    else:
        name = type(error).__name__
        warn(f"\n{'' if isinstance(error, CondaKeyError) else name + ': '}{error}\n")
    return error.exit_code


def run() -> NoReturn:
    """The entry point. py-rattler may abort while Python ends, so the process ends itself first."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except (BrokenPipeError, KeyboardInterrupt):
        code = 1
    except Exception as error:  # an unexpected failure is still reported, then the process ends
        code = unexpected(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or 1
    os._exit(code)


def unexpected(error: Exception) -> int:
    text = f"{type(error).__name__}: {error}"
    if "--json" in sys.argv:
        print(json.dumps({"error": text, "exception_name": type(error).__name__, "message": str(error)}, indent=2))
    else:
        warn(f"\nAn unexpected error has occurred.\n{text}\n")
    return 1


if __name__ == "__main__":
    run()
