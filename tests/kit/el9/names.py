"""Debian's package names and versions, as EL would have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Debian's name -> EL's. What is not listed keeps Debian's; several may make one.
EL_NAMES = {
    "base-passwd": "setup",
    "binutils-common": "binutils",
    "binutils-x86-64-linux-gnu": "binutils",
    "bsdutils": "util-linux",
    "cpp-12": "cpp",
    "cron": "cronie",
    "cron-daemon-common": "crontabs",
    "dbus-bin": "dbus-tools",
    "dmsetup": "device-mapper",
    "gcc-12": "gcc",
    "gir1.2-glib-2.0": "gobject-introspection",
    "gpg": "gnupg2",
    "iproute2": "iproute",
    "libacl1": "libacl",
    "libarchive13": "libarchive",
    "libasan8": "libasan",
    "libassuan0": "libassuan",
    "libatomic1": "libatomic",
    "libattr1": "libattr",
    "libaudit1": "audit-libs",
    "libauparse0": "audit-libs-parse",
    "libbinutils": "binutils",
    "libblkid1": "libblkid",
    "libbz2-1.0": "bzip2-libs",
    "libc-bin": "glibc-common",
    "libc6": "glibc",
    "libc6-dev": "glibc-devel",
    "libcap-ng0": "libcap-ng",
    "libcap2": "libcap",
    "libcom-err2": "libcom_err",
    "libcomps0": "libcomps",
    "libcrypt1": "libxcrypt",
    "libcrypt-dev": "libxcrypt-devel",
    "libctf-nobfd0": "binutils",
    "libctf0": "binutils",
    "libcurl4": "libcurl",
    "libdb5.3": "libdb",
    "libdbus-1-3": "dbus-libs",
    "libdnf2": "libdnf",
    "liberror-perl": "perl-Error",
    "libevent-core-2.1-7": "libevent",
    "libexpat1": "expat",
    "libffi8": "libffi",
    "libgcc-12-dev": "gcc",
    "libgcc-s1": "libgcc",
    "libgcrypt20": "libgcrypt",
    "libgdbm6": "gdbm-libs",
    "libgirepository-1.0-1": "gobject-introspection",
    "libglib2.0-0": "glib2",
    "libgmp10": "gmp",
    "libgnutls30": "gnutls",
    "libgomp1": "libgomp",
    "libgpg-error0": "libgpg-error",
    "libgpgme11": "gpgme",
    "libgpm2": "gpm-libs",
    "libgprofng0": "binutils",
    "libgssapi-krb5-2": "krb5-libs",
    "libicu72": "libicu",
    "libidn2-0": "libidn2",
    "libip4tc2": "iptables-libs",
    "libisl23": "isl",
    "libitm1": "libitm",
    "libjansson4": "jansson",
    "libjson-c5": "json-c",
    "libkeyutils1": "keyutils-libs",
    "libkmod2": "kmod-libs",
    "libldap-2.5-0": "openldap",
    "liblsan0": "liblsan",
    "liblua5.3-0": "lua-libs",
    "liblz4-1": "lz4-libs",
    "liblzma5": "xz-libs",
    "libmagic1": "file-libs",
    "libmnl0": "libmnl",
    "libmodulemd2": "libmodulemd",
    "libmount1": "libmount",
    "libmpc3": "libmpc",
    "libmpfr6": "mpfr",
    "libncursesw6": "ncurses-libs",
    "libnettle8": "nettle",
    "libnftables1": "nftables",
    "libnftnl11": "libnftnl",
    "libnghttp2-14": "libnghttp2",
    "libnsl-dev": "libnsl2-devel",
    "libp11-kit0": "p11-kit",
    "libpam-modules": "pam",
    "libpam0g": "pam-libs",
    "libpcre2-8-0": "pcre2",
    "libpopt0": "popt",
    "libpsl5": "libpsl",
    "libpython3-stdlib": "python3-libs",
    "libpython3.11-stdlib": "python3-libs",
    "libquadmath0": "libquadmath",
    "libreadline8": "readline",
    "librepo0": "librepo",
    "librpm9": "rpm-libs",
    "librpmbuild9": "rpm-build-libs",
    "librpmsign9": "rpm-sign-libs",
    "libsasl2-2": "cyrus-sasl-lib",
    "libseccomp2": "libseccomp",
    "libselinux1": "libselinux",
    "libsemanage2": "libsemanage",
    "libsepol2": "libsepol",
    "libsmartcols1": "libsmartcols",
    "libsodium23": "libsodium",
    "libsolv1": "libsolv",
    "libsqlite3-0": "sqlite-libs",
    "libssh2-1": "libssh2",
    "libssl3": "openssl-libs",
    "libstdc++6": "libstdc++",
    "libsystemd0": "systemd-libs",
    "libtasn1-6": "libtasn1",
    "libtirpc-dev": "libtirpc-devel",
    "libtirpc3": "libtirpc",
    "libtsan2": "libtsan",
    "libubsan1": "libubsan",
    "libudev1": "systemd-libs",
    "libunistring2": "libunistring",
    "libutempter0": "libutempter",
    "libuuid1": "libuuid",
    "libxml2": "libxml2",
    "libxxhash0": "xxhash-libs",
    "libyaml-0-2": "libyaml",
    "libzstd1": "libzstd",
    "linux-libc-dev": "kernel-headers",
    "login": "util-linux",
    "mawk": "gawk",
    "media-types": "mailcap",
    "mount": "util-linux",
    "ncurses-bin": "ncurses",
    "netbase": "setup",
    "openssh-client": "openssh-clients",
    "openssh-sftp-server": "openssh",
    "p11-kit-modules": "p11-kit-trust",
    "passwd": "shadow-utils",
    "perl": "perl-interpreter",
    "perl-modules-5.36": "perl-libs",
    "procps": "procps-ng",
    "python3-attr": "python3-attrs",
    "python3-cffi-backend": "python3-cffi",
    "python3-gi": "python3-gobject-base",
    "python3-minimal": "python3-libs",
    "python3-pkg-resources": "python3-setuptools",
    "python3-selinux": "python3-libselinux",
    "python3-semanage": "python3-libsemanage",
    "python3-sepolgen": "python3-policycoreutils",
    "python3-sepolicy": "python3-policycoreutils",
    "python3.11": "python3",
    "rpcsvc-proto": "rpcgen",
    "rpm2cpio": "rpm",
    "selinux-utils": "libselinux-utils",
    "semodule-utils": "policycoreutils",
    "sqlite3": "sqlite",
    "util-linux-extra": "util-linux",
    "vim": "vim-enhanced",
    "vim-runtime": "vim-common",
    "zlib1g": "zlib",
}
#: Of the image: Debian's own machinery, which EL has no package for.
DEBIAN_ONLY = frozenset(
    {
        "adduser", "apt", "base-files", "debconf", "debian-archive-keyring", "debianutils", "distro-info-data", "dpkg",
        "init-system-helpers", "libapt-pkg6.0", "libdebconfclient0", "python-apt-common", "python3-apt", "runit-helper",
        "sensible-utils", "sysvinit-utils", "ucf", "usrmerge",
    }
)  # fmt: skip


def el_name(debian: str) -> str:
    """The name of the RPM that holds a Debian package."""
    return EL_NAMES.get(debian, debian)


def el_version(debian: str) -> tuple[str, str]:
    """Version and release of a Debian version: without epoch, in characters that RPM allows."""
    text = debian.split(":", 1)[-1]
    upstream, dash, revision = text.rpartition("-")
    if not dash:
        upstream, revision = text, "1"
    return _allowed(upstream), f"{_allowed(revision)}.el9"


def _allowed(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+~]", "_", text)


def dependencies(field: str) -> list[list[str]]:
    """A Depends field: for each dependency the names that satisfy it, without versions and architectures."""
    found = []
    for clause in filter(None, (part.strip() for part in field.split(","))):
        found.append([re.split(r"[ (:]", choice.strip(), maxsplit=1)[0] for choice in clause.split("|")])
    return found


def closure(wanted: Iterable[str], depends: dict[str, list[list[str]]], left_out: frozenset[str]) -> set[str]:
    """The wanted packages and what they need among those that depends describes, without those left out."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name in left_out or name not in depends:
            continue
        found.add(name)
        todo += [choice for choices in depends[name] for choice in choices]
    return found
