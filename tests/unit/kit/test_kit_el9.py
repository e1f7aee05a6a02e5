# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The stand-in for EL 9: names, paths, spec files, and what becomes of Debian's packages."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.kit.el9 import places, repack, seed
from tests.kit.el9.names import closure, dependencies, el_name, el_version
from tests.kit.el9.spec import Rpm, file_line, render


@pytest.mark.parametrize(
    ("debian", "el"),
    [
        ("libc6", "glibc"),
        ("vim", "vim-enhanced"),
        ("gcc-12", "gcc"),
        ("python3-selinux", "python3-libselinux"),
        ("iproute2", "iproute"),
        ("tmux", "tmux"),
    ],
)
def test_el_name(debian: str, el: str) -> None:
    assert el_name(debian) == el


@pytest.mark.parametrize(
    ("debian", "el"),
    [
        ("4:12.2.0-3", ("12.2.0", "3.el9")),
        ("3.11.2-1+b1", ("3.11.2", "1+b1.el9")),
        ("1.0-2-3", ("1.0_2", "3.el9")),
        ("20250419~deb12u2", ("20250419~deb12u2", "1.el9")),
    ],
)
def test_el_version_has_no_character_that_rpm_refuses(debian: str, el: tuple[str, str]) -> None:
    assert el_version(debian) == el


def test_dependencies_are_names_and_their_alternatives() -> None:
    field = "dbus, polkitd | policykit-1, python3-nftables (>= 0.9.3-2~), python3:any,"
    assert dependencies(field) == [["dbus"], ["polkitd", "policykit-1"], ["python3-nftables"], ["python3"]]
    assert dependencies("") == []


def test_closure_takes_what_is_described_and_not_left_out() -> None:
    depends = {
        "app": [["lib"], ["base"], ["big", "small"]],
        "lib": [["app"]],
        "big": [["deep"]],
        "small": [],
        "deep": [],
    }
    assert closure(["app"], depends, frozenset({"big"})) == {"app", "lib", "small"}
    assert closure(["app"], depends, frozenset()) == {"app", "lib", "small", "big", "deep"}


# ---------------------------------------------------------------- paths


def test_built_in_paths_are_replaced_in_place() -> None:
    data = b"\x7fELF" + b"x\0/etc/ssl/certs/ca-certificates.crt\0/etc/default/locale\0/etc/default/localexx\0"
    found = places.moved(data)
    assert len(found) == len(data)
    texts = [text for text in found.split(b"\0") if text]
    assert texts[1:] == [b"/etc/pki/tls/certs/ca-bundle.crt", b"/etc/locale.conf", b"/etc/default/localexx"]


def test_no_new_path_is_longer() -> None:
    assert all(len(new) <= len(old) for old, new in places.PLACES.items())


def test_only_binaries_that_name_the_path_are_written(tmp_path: Path) -> None:
    old = b"\0/etc/default/locale\0"
    library, other, text = (tmp_path / name for name in ("library.so", "other.so", "text"))
    library.write_bytes(b"\x7fELF" + old)
    library.chmod(0o4755)
    other.write_bytes(b"\x7fELF")
    text.write_bytes(old)
    (tmp_path / "link.so").symlink_to("library.so")
    assert places.move_in(tmp_path) == [library]
    assert b"/etc/locale.conf" in library.read_bytes()
    assert library.stat().st_mode & 0o7777 == 0o4755
    assert text.read_bytes() == old
    assert (tmp_path / "link.so").is_symlink()


# ---------------------------------------------------------------- spec files


def test_a_spec_has_a_section_for_each_package() -> None:
    rpm = Rpm(
        "demo", "1.0", "2.el9", "100% demo", noarch=True, requires=["b", "a", "b"], provides=["x = 1"],
        files=['"/usr/bin/demo"'], post="true\n", preun="false\n",
    )  # fmt: skip
    text = render("kit", [rpm, Rpm("other", "2", "1.el9")], install="mv a b")
    assert text.index("%install\nmv a b\n") < text.index("%package -n demo")
    section = text[text.index("%package -n demo") : text.index("%package -n other")]
    assert section == (
        "%package -n demo\nVersion: 1.0\nRelease: 2.el9\nSummary: 100%% demo\nLicense: see Debian's package\n"
        "AutoReqProv: no\nBuildArch: noarch\nRequires: a\nRequires: b\nProvides: x = 1\n"
        "%description -n demo\n100%% demo\n%post -n demo\ntrue\n%preun -n demo\nfalse\n%files -n demo\n"
        '"/usr/bin/demo"\n'
    )
    assert "BuildArch" not in text[text.index("%package -n other") :]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (file_line("/usr/bin/["), '"/usr/bin/?"'),
        (file_line("/a b%c"), '"/a b%%c"'),
        (file_line("/etc/x", config=True), '%config(noreplace) "/etc/x"'),
        (file_line("/etc/d", directory=True), '%dir "/etc/d"'),
    ],
)
def test_file_lines_expand_nothing(line: str, expected: str) -> None:
    assert line == expected


def test_the_file_name_of_an_rpm() -> None:
    assert Rpm("a", "1", "2.el9").file_name == "a-1-2.el9.x86_64.rpm"
    assert Rpm("a", "1", "2.el9", noarch=True).file_name == "a-1-2.el9.noarch.rpm"


# ---------------------------------------------------------------- the image's database


def test_the_image_holds_debians_packages_under_els_names() -> None:
    listing = (
        "apt\t2.6.1\tinstalled\nlibc6\t2.36-9\tinstalled\nlogin\t1:4.13-1\tinstalled\n"
        "util-linux\t2.38.1-5\tinstalled\ntmux\t3.3a-3\tconfig-files\n"
    )
    found = {rpm.name: (rpm.version, rpm.release) for rpm in seed.installed(listing)}
    assert found == {
        "glibc": ("2.36", "9.el9"),
        "util-linux": ("2.38.1", "5.el9"),
        "rocky-release": ("9.6", "1.el9"),
        "pystack-sample": ("1.0", "1.el9"),
    }


def test_the_release_decides_the_version_in_urls() -> None:
    release = next(rpm for rpm in seed.installed("") if rpm.name == "rocky-release")
    assert "system-release(releasever) = 9" in release.provides


# ---------------------------------------------------------------- repacking


def deb(name: str, depends: str = "", *files: str, version: str = "1.0-1", architecture: str = "amd64") -> repack.Deb:
    fields = {"Package": name, "Version": version, "Architecture": architecture, "Depends": depends}
    return repack.Deb(Path(f"{name}.deb"), fields, files=list(files))


def test_what_apt_would_install() -> None:
    text = (
        "Reading package lists...\nInst tmux (3.3a-3 Debian:12.0/stable [amd64])\n"
        "Inst libc6 [2.36-9] (1:2.36-10 Debian:12.0/stable [amd64]) []\nConf tmux (3.3a-3 Debian:12.0/stable [amd64])\n"
    )
    assert repack.planned(text) == {"tmux": "3.3a-3", "libc6": "1:2.36-10"}


def test_control_fields_are_first_lines() -> None:
    text = "Package: tmux\nDepends: a, b\nDescription: terminal multiplexer\n More: of it.\n .\n"
    assert repack.control_fields(text) == {
        "Package": "tmux",
        "Depends": "a, b",
        "Description": "terminal multiplexer",
    }


@pytest.mark.parametrize(
    ("debian", "el"),
    [
        ("./lib/systemd/system/x.service", "usr/lib/systemd/system/x.service"),
        ("./bin/", "usr/bin"),
        ("./library/x", "library/x"),
        ("./usr/bin/x", "usr/bin/x"),
        ("./", ""),
    ],
)
def test_el_path(debian: str, el: str) -> None:
    assert repack.el_path(debian) == el


def test_members_leave_documentation_out_and_follow_the_merge() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in ("./", "./bin/x", "./usr/share/doc/x/copyright", "./usr/share/docs", "./usr/share/man/man1/x.1.gz"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("./bin/y")
        link.type, link.linkname = tarfile.LNKTYPE, "./bin/x"
        tar.addfile(link)
    raw.seek(0)
    with tarfile.open(fileobj=raw) as tar:
        found = {item.name: item.linkname for item in repack.members(tar)}
    assert found == {"usr/bin/x": "", "usr/share/docs": "", "usr/bin/y": "usr/bin/x"}


def test_several_packages_make_one_rpm() -> None:
    debs = [
        deb("cpp-12", "libc6", "usr/bin/cpp-12"),
        deb("gcc-12", "cpp-12, gcc-12-base", "usr/bin/gcc-12", version="12.2.0-14"),
        deb("gcc", "gcc-12 (>= 12), cpp (= 4:12)", "usr/bin/gcc", version="4:12.2.0-3"),
    ]
    repack.resolve({one.name: one for one in debs})
    groups = repack.grouped(debs)
    assert {name: [one.name for one in group] for name, group in groups.items()} == {
        "cpp": ["cpp-12"],
        "gcc": ["gcc", "gcc-12"],
    }
    rpm = repack.to_rpm("gcc", groups["gcc"], {one.name for one in debs})
    assert (rpm.version, rpm.release, rpm.noarch) == ("12.2.0", "3.el9", False)
    assert rpm.requires == ["cpp"], "what the image has is not required"
    assert rpm.files == ['"/usr/bin/gcc"', '"/usr/bin/gcc-12"', '"/usr/bin/cc"']


def test_a_virtual_package_is_what_provides_it() -> None:
    debs = {one.name: one for one in (deb("app", "api-max (>= 1), six | seven"), deb("backend"), deb("six"))}
    debs["backend"].fields["Provides"] = "api-min, api-max (= 2)"
    repack.resolve(debs)
    assert debs["app"].depends == [["backend"], ["six", "seven"]]
    assert repack.to_rpm("app", [debs["app"]], set(debs)).requires == ["backend", "six"]


def test_configuration_files_and_empty_folders_are_marked() -> None:
    one = deb("demo", "", "etc/demo.conf", architecture="all")
    one.conffiles, one.empty = frozenset({"etc/demo.conf"}), ["var/lib/demo"]
    rpm = repack.to_rpm("demo", [one], set())
    assert rpm.noarch
    assert rpm.files == ['%config(noreplace) "/etc/demo.conf"', '%dir "/var/lib/demo"']


def test_a_file_goes_to_the_package_that_has_it_on_el() -> None:
    path = "usr/lib/python3/dist-packages/seobject.py"
    rpms = {
        "python3-policycoreutils": repack.to_rpm("python3-policycoreutils", [deb("python3-sepolicy")], set()),
        "policycoreutils-python-utils": repack.to_rpm(
            "policycoreutils-python-utils", [deb("policycoreutils-python-utils", "", path)], set()
        ),
    }
    repack.move_files(rpms)
    assert rpms["python3-policycoreutils"].files == [f'"/{path}"']
    assert rpms["policycoreutils-python-utils"].files == []


def test_units_are_preset_when_they_come_and_stopped_when_they_go() -> None:
    rpm = Rpm("demo", "1", "1.el9")
    repack.add_scripts(rpm, ["usr/lib/systemd/system/demo.service", "usr/share/dbus-1/system.d/demo.conf"])
    assert "preset demo.service" in rpm.post
    assert "reload dbus.service" in rpm.post
    assert "disable --now demo.service" in rpm.preun
    plain = Rpm("plain", "1", "1.el9")
    repack.add_scripts(plain, ["usr/bin/plain"])
    assert plain.post == plain.preun == ""


def test_baseos_can_be_used_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repack, "WANTED", {"BaseOS": ("tmux",), "AppStream": ("git",)})
    debs = {one.name: one for one in (deb("tmux", "shared"), deb("git", "shared, own"), deb("shared"), deb("own"))}
    repack.resolve(debs)
    rpms = {name: Rpm(name, "1", "1.el9") for name in debs}
    found = {name: sorted(rpm.name for rpm in listed) for name, listed in repack.arranged(rpms, debs).items()}
    assert found == {"BaseOS": ["shared", "tmux"], "AppStream": ["git", "own"]}


def test_the_kits_own_packages_lie_where_they_belong(tmp_path: Path) -> None:
    found = repack.own_packages(tmp_path)
    assert {name: [rpm.file_name for rpm in listed] for name, listed in found.items()} == {
        "BaseOS": ["pystack-sample-1.0-2.el9.noarch.rpm"],
        "Unsigned": ["pystack-unsigned-1.0-1.el9.noarch.rpm"],
        "Foreign": ["pystack-foreign-1.0-1.el9.noarch.rpm"],
    }
    assert (tmp_path / "usr/share/pystack-sample/release").read_text() == "2\n"
