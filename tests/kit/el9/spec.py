"""Text of RPM spec files: one source that makes any number of binary packages."""

from __future__ import annotations

from dataclasses import dataclass, field

_HEAD = """\
Name: {name}
Version: 1
Release: 1.el9
Summary: Source of packages that stand in for EL 9
License: see the packages
AutoReqProv: no
%description
{name}
%install
{install}
"""
#: Debian's files stay as they are: nothing is stripped, compiled, compressed or looked through.
_MACROS = (
    "%global debug_package %{nil}",
    "%global __os_install_post %{nil}",
    "%global _build_id_links none",
    "%global _unpackaged_files_terminate_build 0",
    # Not compressed: what is served on this machine is built faster than it is sent.
    "%global _binary_payload w.ufdio",
    # Expanded late, for each package.
    "%define _build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
)


@dataclass
class Rpm:
    """One binary package. files are lines of its %files section, post is a shell script."""

    name: str
    version: str
    release: str
    summary: str = "A package that stands in for EL's"
    license: str = "see Debian's package"
    noarch: bool = False
    requires: list[str] = field(default_factory=list)
    provides: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    post: str = ""
    preun: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.release}.{'noarch' if self.noarch else 'x86_64'}.rpm"


def render(name: str, rpms: list[Rpm], install: str = "") -> str:
    """A spec file. install: the shell script that fills %{buildroot}."""
    head = "\n".join(_MACROS) + "\n" + _HEAD.format(name=name, install=install)
    return head + "".join(_section(rpm) for rpm in rpms)


def _section(rpm: Rpm) -> str:
    lines = [
        f"%package -n {rpm.name}",
        f"Version: {rpm.version}",
        f"Release: {rpm.release}",
        f"Summary: {escaped(rpm.summary)}",
        f"License: {escaped(rpm.license)}",
        "AutoReqProv: no",
        *(["BuildArch: noarch"] if rpm.noarch else []),
        *(f"Requires: {name}" for name in sorted(set(rpm.requires))),
        *(f"Provides: {name}" for name in rpm.provides),
        f"%description -n {rpm.name}",
        escaped(rpm.summary),
        *_script("post", rpm.name, rpm.post),
        *_script("preun", rpm.name, rpm.preun),
        f"%files -n {rpm.name}",
        *rpm.files,
    ]
    return "\n".join(lines) + "\n"


def _script(kind: str, name: str, text: str) -> list[str]:
    return [f"%{kind} -n {name}", text.rstrip()] if text else []


def escaped(text: str) -> str:
    """Text in which RPM expands nothing."""
    return text.replace("%", "%%")


def file_line(path: str, *, directory: bool = False, config: bool = False) -> str:
    """One line of %files. Brackets and the like are no patterns: they are written with ?."""
    quoted = "".join("?" if character in '*?[]{}"\\' else character for character in escaped(path))
    prefix = "%dir " if directory else "%config(noreplace) " if config else ""
    return f'{prefix}"{quoted}"'
