"""The RPM repositories: python3 -m el9.repack OUT DEBS OWNER, in a container of the image, as root.

Debian's packages, and those that they need beyond the image, become RPMs under EL's names; their programs are the real
ones. OUT gets Rocky's layout below rpm-rocky/9 and the public keys below keys; DEBS keeps apt's downloads between runs.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .names import closure, dependencies, el_name, el_version
from .places import move_in
from .spec import Rpm, file_line, render

#: Debian's names of what the repositories are for, by where Rocky has it.
WANTED = {
    "BaseOS": ("bzip2", "firewalld", "python3-cryptography", "tmux", "tree"),
    "AppStream": ("gcc", "git", "policycoreutils-python-utils", "python3-semanage", "vim", "wget"),
}
#: Needed on EL, recommended on Debian.
ALSO_DEPENDS = {"gcc": ["libc6-dev"], "firewalld": ["nftables"]}
#: Needed on Debian, and not on EL.
LEFT_OUT = frozenset(
    {
        "gir1.2-nm-1.0", "git-man", "libasan8", "libcc1-0", "libgprofng0", "libitm1", "liblsan0", "libtsan2",
        "libubsan1", "policykit-1", "polkitd",
    }
)  # fmt: skip
#: Folders that Debian's image is made without, too, and Debian's own.
SKIPPED = re.compile(r"usr/share/(doc|doc-base|info|lintian|locale|man|bug|bash-completion)(/|$)")
#: Where EL has a file in another package than Debian.
OWNERS = {"usr/lib/python3/dist-packages/seobject.py": "python3-policycoreutils"}
#: Links that Debian's alternatives or maintainer scripts make: package -> path -> target.
LINKS = {
    "gcc": {"usr/bin/cc": "gcc"},
    "vim-enhanced": {"usr/bin/vim": "vim.basic", "usr/bin/vimdiff": "vim.basic"},
}
PROVIDES = {"vim-enhanced": ["vim"], "git": ["git-core"]}
#: Locales for which there is a glibc-langpack: language -> territories.
LANGPACKS = {"de": ("de_DE",), "en": ("en_US",)}
KEYS = {"kit": "Offline kit", "foreign": "Somebody else"}
#: Where the image keeps Debian's tools.
_HIDDEN = "/usr/lib/pystack-standin/debian"
_TOOLS = ("createrepo-c", "gpg-agent")


@dataclass
class Deb:
    """A Debian package: control fields, configuration files, what it unpacks to, and what it needs (see resolve)."""

    path: Path
    fields: dict[str, str]
    conffiles: frozenset[str] = frozenset()
    files: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    depends: list[list[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def provides(self) -> list[str]:
        return [name for choices in dependencies(self.fields.get("Provides", "")) for name in choices]

    @property
    def asks_for(self) -> list[list[str]]:
        """Names that it depends on, some of them virtual."""
        own = dependencies(f"{self.fields.get('Pre-Depends', '')},{self.fields.get('Depends', '')}")
        return own + [[name] for name in ALSO_DEPENDS.get(self.name, [])]


def resolve(debs: dict[str, Deb]) -> None:
    """Fill in what each package needs: for a virtual name the package that provides it."""
    providers = {virtual: deb.name for deb in debs.values() for virtual in deb.provides}
    for deb in debs.values():
        deb.depends = [
            [name if name in debs else providers.get(name, name) for name in choices] for choices in deb.asks_for
        ]


def run(*command: str, **environment: str) -> str:
    """Run a command and give its output. Raises RuntimeError with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


# ---------------------------------------------------------------- Debian's packages


def apt(downloads: Path, *arguments: str) -> str:
    """Call apt-get, which is out of PATH here; so are its helpers, of which it knows one by its full path."""
    options = ["--yes", "--quiet", f"-oDir::Bin::apt-key={_HIDDEN}/apt-key", f"-oDir::Cache::archives={downloads}"]
    path = f"{os.environ['PATH']}:{_HIDDEN}"
    return run(f"{_HIDDEN}/apt-get", *options, *arguments, DEBIAN_FRONTEND="noninteractive", PATH=path)


def planned(simulation: str) -> dict[str, str]:
    """What `apt-get --simulate install` would install: name -> version."""
    return dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", simulation, re.MULTILINE))


def fetch(names: Iterable[str], debs: Path) -> list[Path]:
    """Download packages with what they need beyond the image; what lies there from before is not fetched again."""
    versions = planned(apt(debs, "install", "--no-install-recommends", "--simulate", *names))
    apt(debs, "install", "--no-install-recommends", "--download-only", *names)
    found: list[Path] = []
    for name, version in versions.items():
        found += debs.glob(f"{name}_{version.replace(':', '%3a')}_*.deb")
    if len(found) != len(versions):
        raise RuntimeError(f"apt fetched {len(found)} packages in place of {len(versions)}")
    return found


def control_fields(text: str) -> dict[str, str]:
    """The fields of a control file, each on one line; of a description its synopsis."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith((" ", "\t")) and ":" in line:
            name, value = line.split(":", 1)
            found[name] = value.strip()
    return found


def read(path: Path) -> Deb:
    """Look at a package's control part."""
    raw = subprocess.run(["dpkg-deb", "--ctrl-tarfile", str(path)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        texts = {
            Path(item.name).name: file.read().decode() for item in tar if (file := tar.extractfile(item)) is not None
        }
    conffiles = frozenset(line.lstrip("/") for line in texts.get("conffiles", "").splitlines() if line.startswith("/"))
    return Deb(path, control_fields(texts["control"]), conffiles)


def el_path(path: str) -> str:
    """A path as the image has it: relative to the root, with / and /usr merged."""
    path = path.removeprefix("./").rstrip("/")
    return f"usr/{path}" if re.match(r"(bin|lib|lib32|lib64|libx32|sbin)(/|$)", path) else path


def unpack(deb: Deb, tree: Path) -> Deb:
    """Unpack into the common tree and note the package's files, and its folders without files."""
    folders: set[str] = set()
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb.path)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for item in members(tar):
                tar.extract(item, tree)
                (folders.add if item.isdir() else deb.files.append)(item.name)
        if process.wait():
            raise RuntimeError(f"{deb.path.name} cannot be unpacked")
    used = {parent.as_posix() for path in (*deb.files, *folders) for parent in Path(path).parents}
    deb.empty = sorted(folders - used)
    return deb


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What of a package is taken, under the paths of the image."""
    for item in tar:
        item.name = el_path(item.name)
        if item.islnk():
            item.linkname = el_path(item.linkname)
        if item.name not in ("", ".") and not SKIPPED.match(item.name):
            yield item


# ---------------------------------------------------------------- RPMs of them


def grouped(debs: Iterable[Deb]) -> dict[str, list[Deb]]:
    """Packages by the RPM that they make; the one that has its name comes first."""
    groups: dict[str, list[Deb]] = {}
    for deb in debs:
        groups.setdefault(el_name(deb.name), []).append(deb)
    return {name: sorted(group, key=lambda deb: (deb.name != name, deb.name)) for name, group in groups.items()}


def to_rpm(name: str, group: list[Deb], known: set[str]) -> Rpm:
    """Describe the RPM of a group. known: Debian's names of all packages that become RPMs."""
    first = group[0]
    needed = {el_name(choice) for deb in group for choices in deb.depends for choice in choices if choice in known}
    rpm = Rpm(
        name,
        *el_version(first.fields["Version"]),
        summary=first.fields.get("Description", name),
        license=f"see Debian's {first.name}",
        noarch=all(deb.fields["Architecture"] == "all" for deb in group),
        requires=sorted(needed - {name}),
        provides=PROVIDES.get(name, []),
    )
    for deb in group:
        files = (path for path in deb.files if OWNERS.get(path, name) == name)
        rpm.files += [file_line(f"/{path}", config=path in deb.conffiles) for path in files]
        rpm.files += [file_line(f"/{path}", directory=True) for path in deb.empty]
    rpm.files += [file_line(f"/{path}") for path in LINKS.get(name, {})]
    add_scripts(rpm, [path for deb in group for path in deb.files])
    return rpm


def add_scripts(rpm: Rpm, paths: Iterable[str]) -> None:
    """What EL's packages with units and with D-Bus policies do when they come and go."""
    paths = list(paths)
    units = sorted(
        path.rsplit("/", 1)[1] for path in paths if re.match(r"usr/lib/systemd/system/[^/]+\.service$", path)
    )
    if units:
        listed = " ".join(units)
        rpm.post += "systemctl daemon-reload >/dev/null 2>&1 || :\n"
        rpm.post += f'[ "$1" -ne 1 ] || systemctl --no-reload preset {listed} >/dev/null 2>&1 || :\n'
        rpm.preun = f'[ "$1" -ne 0 ] || systemctl --no-reload disable --now {listed} >/dev/null 2>&1 || :\n'
    if any(path.startswith("usr/share/dbus-1/system.d/") for path in paths):
        rpm.post += "systemctl reload dbus.service >/dev/null 2>&1 || :\n"


def move_files(rpms: dict[str, Rpm]) -> None:
    """Give files to the packages that have them on EL."""
    for path, owner in OWNERS.items():
        rpms[owner].files.append(file_line(f"/{path}"))


def make_links(tree: Path) -> None:
    for links in LINKS.values():
        for path, target in links.items():
            (tree / path).unlink(missing_ok=True)
            (tree / path).symlink_to(target)


def langpack(language: str, version: tuple[str, str], sources: Path, tree: Path) -> Rpm:
    """Compile a language's locales as EL's glibc-langpack has them: a folder each."""
    rpm = Rpm(f"glibc-langpack-{language}", *version, summary=f"Locale data for {language}")
    for territory in LANGPACKS[language]:
        folder = f"usr/lib/locale/{territory}.utf8"
        (tree / folder).parent.mkdir(parents=True, exist_ok=True)
        command = ["localedef", "--no-archive", "-i", territory, "-f", "UTF-8", str(tree / folder)]
        run(*command, I18NPATH=str(sources / "usr/share/i18n"))
        rpm.files.append(f'"/{folder}"')
    return rpm


def own_packages(tree: Path) -> dict[str, list[Rpm]]:
    """Packages of the kit's own, by repository: an update, and two that are refused."""
    update = Rpm("pystack-sample", "1.0", "2.el9", "A package that has an update", noarch=True)
    unsigned = Rpm("pystack-unsigned", "1.0", "1.el9", "A package without a signature", noarch=True)
    foreign = Rpm("pystack-foreign", "1.0", "1.el9", "A package signed by somebody else", noarch=True)
    for rpm in (update, unsigned, foreign):
        path = f"usr/share/{rpm.name}/release"
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_text(rpm.release.split(".")[0] + "\n")
        rpm.files = [file_line(f"/usr/share/{rpm.name}", directory=True), file_line(f"/{path}")]
    return {"BaseOS": [update], "Unsigned": [unsigned], "Foreign": [foreign]}


# ---------------------------------------------------------------- repositories


def arranged(rpms: dict[str, Rpm], debs: dict[str, Deb]) -> dict[str, list[Rpm]]:
    """RPMs by repository: BaseOS has what its own need, so that it can be used alone."""
    depends = {deb.name: deb.depends for deb in debs.values()}
    base = {el_name(name) for name in closure(WANTED["BaseOS"], depends, LEFT_OUT)}
    found: dict[str, list[Rpm]] = {"BaseOS": [], "AppStream": []}
    for name, rpm in rpms.items():
        found["BaseOS" if name in base else "AppStream"].append(rpm)
    return found


def refuse_names_of_the_image(rpms: Iterable[Rpm]) -> None:
    """An RPM under the name of one that the image has would be taken for its update."""
    held = set(run("rpm", "--query", "--all", "--queryformat", "%{NAME}\n").split()) - {"pystack-sample"}
    if both := sorted(held & {rpm.name for rpm in rpms}):
        raise RuntimeError(f"packages under names that the image's database has: {', '.join(both)}")


def build(repositories: dict[str, list[Rpm]], tree: Path, work: Path, out: Path) -> None:
    """Build all RPMs at once and put each into its repository."""
    rpms = [rpm for listed in repositories.values() for rpm in listed]
    spec = work / "kit.spec"
    spec.write_text(render("kit", rpms, install=f'rm -rf "%{{buildroot}}"\nmv {tree} "%{{buildroot}}"'))
    define = ["--define", f"_topdir {work}/rpmbuild", "--define", f"_rpmdir {work}/rpms"]
    run("rpmbuild", "-bb", "--quiet", *define, str(spec))
    for repository, listed in repositories.items():
        folder = out / repository / "x86_64/os"
        (folder / "Packages").mkdir(parents=True)
        for rpm in listed:
            shutil.move(work / "rpms" / rpm.file_name, folder / "Packages")


def make_keys(keys: Path) -> None:
    """One key that is to be trusted, and one that is not; the secret halves end with the container."""
    keys.mkdir(parents=True)
    for name, person in KEYS.items():
        home = gnupg_home(name)
        Path(home).mkdir(mode=0o700)
        generate = ["--passphrase", "", "--quick-generate-key", f"{person} <{name}@pystack.example>", "rsa3072", "sign"]
        run("gpg", "--batch", "--quiet", *generate, "never", GNUPGHOME=home)
        (keys / f"{name}.asc").write_text(run("gpg", "--batch", "--armor", "--export", GNUPGHOME=home))


def gnupg_home(key: str) -> str:
    return f"/root/gnupg-{key}"


def finish(folder: Path, key: str | None) -> None:
    """Sign a repository's packages, index it, and sign the index."""
    packages = [str(path) for path in sorted(folder.glob("Packages/*.rpm"))]
    if key:
        define = ["--define", f"_gpg_name {KEYS[key]}", "--define", "__gpg /usr/bin/gpg"]
        run("rpmsign", "--addsign", *define, *packages, GNUPGHOME=gnupg_home(key))
    run("createrepo_c", "--quiet", "--no-database", str(folder))
    if key:
        index = str(folder / "repodata/repomd.xml")
        run("gpg", "--batch", "--armor", "--detach-sign", index, GNUPGHOME=gnupg_home(key))


def say(message: str) -> None:
    print(f"el9: {message}", flush=True)


def main(out: Path, downloads: Path, owner: str) -> None:
    work = Path("/build")
    tree, sources = work / "tree", work / "locales"
    tree.mkdir(parents=True)
    (downloads / "partial").mkdir(parents=True, exist_ok=True)
    apt(downloads, "update")
    wanted = [name for names in WANTED.values() for name in names]
    extra = [name for names in ALSO_DEPENDS.values() for name in names]
    paths = fetch([*wanted, *extra, "locales"], downloads)
    say(f"{len(paths)} of Debian's packages are there")
    with ThreadPoolExecutor(2) as pool:
        # Only now: what the tools need would be missing among the packages.
        tools = pool.submit(apt, downloads, "install", "--no-install-recommends", *_TOOLS)
        found = {deb.name: deb for deb in pool.map(read, paths)}
        locales = found.pop("locales")
        resolve(found)
        names = closure(wanted, {deb.name: deb.depends for deb in found.values()}, LEFT_OUT)
        debs = {name: found[name] for name in sorted(names)}
        unpack(locales, sources)
        version = el_version(locales.fields["Version"])
        list(pool.map(lambda deb: unpack(deb, tree), debs.values()))
        packs = list(pool.map(lambda language: langpack(language, version, sources, tree), LANGPACKS))
        tools.result()
        make_keys(out / "keys")
    move_in(tree)
    make_links(tree)
    rpms = {name: to_rpm(name, group, set(debs)) for name, group in grouped(debs.values()).items()}
    move_files(rpms)
    repositories = arranged(rpms, debs)
    repositories["BaseOS"] += packs
    for repository, own in own_packages(tree).items():
        repositories.setdefault(repository, []).extend(own)
    refuse_names_of_the_image(rpm for listed in repositories.values() for rpm in listed)
    say("packages are unpacked")
    root = out / "rpm-rocky/9"
    build(repositories, tree, work, root)
    say(f"{sum(map(len, repositories.values()))} RPMs are built")
    keys = {"Unsigned": None, "Foreign": "foreign"}
    for repository in repositories:
        finish(root / repository / "x86_64/os", keys.get(repository, "kit"))
    run("chown", "--recursive", owner, str(out), str(downloads))
    say("repositories are signed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
