# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""A fake of conda for these tests: its command line and JSON answers, over packages from a file.

The ``world`` fixture installs a command that imports it. Beside that command lie ``db.json`` (packages and
misbehaviour) and ``calls.jsonl`` (every call with its environment).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(sys.argv[0]).resolve().parent
DB: dict[str, Any] = json.loads((HERE / "db.json").read_text())
sys.path.insert(0, DB["module_utils"])

from conda.match import MatchSpec  # type: ignore[import-not-found]  # noqa: E402
from conda.version import VersionOrder  # type: ignore[import-not-found]  # noqa: E402

Meta = dict[str, Any]

FAKE_PIP = """#!{python} -IS
import json, pathlib, re, shutil, sys
site = next(pathlib.Path({prefix!r}).glob("lib/python*/site-packages"))
if sys.argv[1] == "-I":
    broken = [name for name in sys.argv[4:] if name.startswith("broken")]
    print("\\n".join(name + ": ImportError: no good" for name in broken))
    sys.exit(bool(broken))
command, options = sys.argv[3], sys.argv[4:]
values = [options[i + 1] for i, w in enumerate(options) if w in ("-r", "--report")]
words = [w for w in options if not w.startswith("-") and w not in values]
if "-r" in options:
    words += [line.split(" --hash")[0] for line in pathlib.Path(values[0]).read_text().splitlines()]
    command += " --require-hashes" if "--require-hashes" in options else ""
with open({log!r}, "a") as log:
    log.write(command + " " + " ".join(words) + "\\n")
if command == "check":
    broken = [path.name for path in site.glob("inconsistent-*.dist-info")]
    print("inconsistent 1.0 requires nothing, which is not installed." if broken else "No broken requirements found.")
    sys.exit(bool(broken))
if "--report" in options:
    rows = []
    for word in words:
        name, _, url = re.sub(r"\\[.*\\]", "", word).partition(" @ ")
        name, _, version = name.partition("==")
        archive = {{}} if name == "vcs" else {{"hashes": {{"sha256": format(len(name), "064x")}}}}
        rows.append({{"metadata": {{"name": name, "version": version or "1.0"}}, "is_direct": bool(url),
                     "download_info": {{"url": url or "https://index.example/" + name, "archive_info": archive}}}})
    pathlib.Path(values[0]).write_text(json.dumps({{"version": "1", "install": rows}}))
    sys.exit(0)
command = command.split(" ")[0]
for word in words:
    name = re.match(r"[\\w.-]+", word)[0]
    if name == "broken":
        sys.exit("Collecting broken\\nERROR: No matching distribution found for broken")
    for old in site.glob(name + "-*.dist-info"):
        shutil.rmtree(old)
    if command == "install" and name != "ghost":
        pin = re.search(r"[=>]=\\s*([^,]+)|/[^/]+-([0-9.]+)[-.]", word)
        version = pin[1] or pin[2] if pin else "1.0"
        info = site / (name + "-" + version + ".dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Name: " + name + "\\nVersion: " + version + "\\n")
        (info / "INSTALLER").write_text("pip\\n")
"""


def answer(value: Meta, code: int = 0) -> None:
    print("a warning on the other stream", file=sys.stderr)
    print(json.dumps(value))
    sys.exit(code)


def fail(name: str, message: str, **more: Any) -> None:
    answer(
        {"error": message, "exception_name": name, "exception_type": f"<class '{name}'>", "message": message} | more, 1
    )


def installed(prefix: Path) -> dict[str, Meta]:
    found = (json.loads(path.read_text()) for path in prefix.glob("conda-meta/*.json"))
    return {meta["name"]: meta for meta in found}


def meets(meta: Meta, spec: Any) -> bool:
    plain = {**meta, "channel": meta["channel"].rpartition("/")[0], "sha256": ""}
    return bool(spec.matches(SimpleNamespace(**plain)))


def solve(specs: list[str], current: dict[str, Meta], latest: bool) -> dict[str, Meta]:
    result = dict(current)
    waiting = [MatchSpec.parse(text) for text in specs]
    requested = {spec.name for spec in waiting}
    while waiting:
        spec = waiting.pop(0)
        present = result.get(spec.name)
        if present and meets(present, spec) and not (latest and spec.name in requested):
            continue
        offers = [meta for meta in DB["packages"] if meets(meta, spec)]
        if not offers:
            urls = ["https://conda.example/conda-forge/linux-64", "https://conda.example/conda-forge/noarch"]
            fail("PackagesNotFoundError", "not found", packages=[spec.canonical()], channel_urls=urls)
        best = max(offers, key=lambda meta: VersionOrder(meta["version"]))
        requested.discard(spec.name)
        if present != best:
            result[spec.name] = best
            waiting.extend(MatchSpec.parse(text) for text in best["depends"])
    return result


def link(prefix: Path, meta: Meta) -> None:
    files = []
    if meta["name"] == "python":
        site = prefix / "lib/python3.11/site-packages"
        site.mkdir(parents=True, exist_ok=True)
        python = prefix / "bin/python"
        python.parent.mkdir(exist_ok=True)
        values = {"python": sys.executable, "prefix": str(prefix), "log": str(HERE / "pip.log")}
        python.write_text(FAKE_PIP.format(**values))
        python.chmod(0o755)
    if "python" in " ".join(meta["depends"]):
        files = [f"lib/python3.11/site-packages/{meta['name']}-{meta['version']}.dist-info/METADATA"]
        path = prefix / files[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Name: {meta['name']}\nVersion: {meta['version']}\n")
    stem = f"{meta['name']}-{meta['version']}-{meta['build']}"
    data = prefix / "share" / meta["name"]
    data.mkdir(parents=True, exist_ok=True)
    (data / "data").write_text(stem)
    digest = "0" * 64 if meta["name"] in DB.get("damaged", ()) else hashlib.sha256(stem.encode()).hexdigest()
    paths = [{"_path": f"share/{meta['name']}/data", "path_type": "hardlink", "sha256": digest}]
    more = {"files": files, "paths_data": {"paths": paths}, "extracted_package_dir": str(HERE / "pkgs" / stem)}
    (HERE / "pkgs" / stem).mkdir(parents=True, exist_ok=True)
    (prefix / "conda-meta" / f"{stem}.json").write_text(json.dumps(meta | more))


def unlink(prefix: Path, name: str) -> None:
    for path in prefix.glob(f"conda-meta/{name}-[0-9]*.json"):
        for file in json.loads(path.read_text())["files"]:
            shutil.rmtree((prefix / file).parent)
        shutil.rmtree(prefix / "share" / name)
        path.unlink()


def apply(prefix: Path, before: dict[str, Meta], after: dict[str, Meta]) -> None:
    (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
    (prefix / "conda-meta/history").touch()
    for name, meta in before.items():
        if after.get(name) != meta:
            unlink(prefix, name)
    for count, (name, meta) in enumerate(sorted(after.items())):
        if count == DB.get("kill_after"):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(DB.get("orphan_s", 0))
            os.kill(os.getpid(), signal.SIGKILL)
        if before.get(name) != meta and name not in DB.get("skip", ()):
            link(prefix, meta)


def install_explicit(prefix: Path, file: Path) -> None:
    """What conda does with an explicit list: no solution, and no answer."""
    urls = dict(line.split("#sha256:") for line in file.read_text().splitlines() if line.startswith("http"))
    offers = {meta["url"]: meta for meta in DB["packages"]}
    wrong = [url for url, digest in urls.items() if offers[url]["sha256"] != digest]
    if wrong:
        fail("ChecksumMismatchError", f"the content of {wrong[0]} is not the expected one")
    apply(prefix, {}, {offers[url]["name"]: offers[url] for url in urls})
    sys.exit(0)


def shown(meta: Meta) -> Meta:
    base = meta["channel"].rpartition("/")[0]
    keys = {key: meta[key] for key in ("name", "version", "build_number")}
    names = {"build_string": meta["build"], "channel": base.rpartition("/")[2], "base_url": base}
    return keys | names | {"platform": "linux-64", "dist_name": f"{meta['name']}-{meta['version']}-{meta['build']}"}


def main(arguments: list[str]) -> None:
    with (HERE / "calls.jsonl").open("a") as log:
        log.write(json.dumps({"argv": arguments, "env": dict(os.environ)}) + "\n")
    command, options = arguments[0], [word for word in arguments[1:] if word.startswith("-")]
    words = arguments[1:]
    prefix = Path(words[words.index("-p") + 1])
    values = {index + 1 for index, word in enumerate(words) if word in ("-p", "-c")}
    specs = [word for index, word in enumerate(words) if not word.startswith("-") and index not in values]
    if command in DB.get("errors", {}):
        (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
        fail(**DB["errors"][command])
    dry = "--dry-run" in options
    if command == "create" and prefix.exists():
        shutil.rmtree(prefix)
    if "--file" in words:
        install_explicit(prefix, Path(words[words.index("--file") + 1]))
    added = ("files", "paths_data", "extracted_package_dir")
    before = {name: {k: v for k, v in meta.items() if k not in added} for name, meta in installed(prefix).items()}
    if command == "remove":
        after = {name: meta for name, meta in before.items() if name not in specs}
    else:
        after = solve(specs, before, "--update-specs" in options)
    links = [shown(meta) for name, meta in sorted(after.items()) if before.get(name) != meta]
    unlinks = [shown(meta) for name, meta in sorted(before.items()) if after.get(name) != meta]
    if not dry and (links or unlinks or command == "create"):
        apply(prefix, before, after)
    if command == "create" and not dry:
        registry = Path.home() / ".conda/environments.txt"
        registry.parent.mkdir(exist_ok=True)
        with registry.open("a") as lines:
            lines.write(f"{prefix}\n")
    if not links and not unlinks:
        answer({"success": True, "message": "All requested packages already installed."})
    actions = {"FETCH": [], "PREFIX": str(prefix), "UNLINK": unlinks, "LINK": links}
    answer({"success": True, "actions": actions, "prefix": str(prefix)} | ({"dry_run": True} if dry else {}))
