# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The kit's parts: built once, independently of each other, served under Artifactory's URLs."""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509

from tests.kit import images, parts, paths, pypi, serve, server, tls
from tests.kit.conda import fetch


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> parts.Part:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "kit")
    inputs = [tmp_path / name for name in ("a", "b")]
    for path in inputs:
        path.write_text("text")

    def build(out: Path, work: Path, log: parts.Log) -> None:
        log("building")
        (out / "file").write_text(inputs[0].read_text())

    return parts.Part("demo", tuple(inputs), ("fact",), build, ("api/demo",))


def test_a_part_is_built_once_for_each_content(part: parts.Part) -> None:
    said: list[str] = []
    first = part.ensure(said.append)
    assert (first / "file").read_text() == "text"
    assert part.ensure(said.append) == first
    assert said == ["building"]
    part.inputs[0].write_text("other text")
    second = part.ensure(said.append)
    assert second != first
    assert not first.exists(), "the older one is removed"
    assert said == ["building"] * 2


def test_a_build_that_fails_is_not_taken_for_the_part(part: parts.Part, tmp_path: Path) -> None:
    def fail(out: Path, work: Path, log: parts.Log) -> None:
        (out / "file").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        replace(part, build=fail).ensure(print)
    assert (part.ensure(lambda message: None) / "file").read_text() == "text"


def test_the_key_changes_with_everything_that_decides(part: parts.Part, tmp_path: Path) -> None:
    assert replace(part, inputs=part.inputs[::-1]).key == part.key, "whatever the order"
    keys = [part.key, replace(part, inputs=part.inputs[:1]).key, replace(part, facts=("another",)).key]
    part.inputs[1].write_text("other text")
    keys.append(part.key)
    keys.append(replace(part, inputs=(part.inputs[0], part.inputs[1].rename(tmp_path / "c"))).key)
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 16 for key in keys)


def test_a_change_in_the_stand_in_for_el9_keeps_the_conda_part(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts.conda_part().key, parts.rpm_part().key
    changed = replace(images.EL9, more=("one-more",))
    monkeypatch.setattr(images, "EL9", changed)
    monkeypatch.setitem(images.IMAGES, "el9", changed)
    assert parts.conda_part().key == before[0]
    assert parts.rpm_part().key != before[1]


def test_a_change_in_a_host_image_keeps_the_rpm_part(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts.conda_part().key, parts.rpm_part().key
    monkeypatch.setitem(images.IMAGES, "deb12", images.Image("deb12", "bookworm", ("one-more",)))
    assert parts.conda_part().key != before[0]
    assert parts.rpm_part().key == before[1]


def test_no_file_of_one_part_decides_the_other() -> None:
    assert not set(parts.conda_part().inputs) & set(parts.rpm_part().inputs)
    assert not set(parts.conda_part().inputs) & {fetch.INDEX.file}


def test_a_given_image_for_el9_needs_no_repositories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EL9_IMAGE", raising=False)
    assert [part.name for part in parts.all_parts()] == ["conda", "rpm", "pypi"]
    monkeypatch.setenv("EL9_IMAGE", "registry.example/rocky9-systemd")
    assert [part.name for part in parts.all_parts()] == ["conda", "pypi"]
    assert images.EL9.tag == "registry.example/rocky9-systemd"


def test_parts_are_mounted_where_artifactory_has_them(part: parts.Part, tmp_path: Path) -> None:
    assert parts.mounts([(part, tmp_path)]) == {tmp_path / "api/demo": "api/demo"}
    served = {path for one in parts.all_parts() for path in one.served}
    assert served == {"api/conda", "ext-miniforge", "rpm-rocky", "api/pypi"}


# ---------------------------------------------------------------- images


def test_files_of_an_image_are_roots_and_only_scripts_run() -> None:
    with tarfile.open(fileobj=BytesIO(images.archive({"usr/bin/x": b"#!/bin/sh\n", "etc/y": b"text"}))) as tar:
        found = {item.name: (item.mode, item.uid, item.gid, item.size) for item in tar}
    assert found == {"etc/y": (0o644, 0, 0, 4), "usr/bin/x": (0o755, 0, 0, 10)}


def test_the_recipe_changes_with_the_files() -> None:
    recipes = {image.recipe for image in (images.EL9, replace(images.EL9, files={}), replace(images.EL9, finish=""))}
    assert len(recipes) == 3


def test_the_stand_in_says_what_it_is() -> None:
    release = images.EL9.files["usr/lib/os-release"].decode()
    fields = dict(line.split("=", 1) for line in release.splitlines())
    assert "stand-in on Debian 12" in fields["PRETTY_NAME"]
    assert "stand-in" in fields["VARIANT"]
    assert (fields["ID"], fields["VERSION_ID"]) == ('"rocky"', '"9.6"')


# ---------------------------------------------------------------- the package index


def test_the_index_has_links_with_hashes(tmp_path: Path) -> None:
    wheels = [tmp_path / f"Demo_Kit-{version}-py3-none-any.whl" for version in ("1.0", "2.0")]
    for wheel in wheels:
        wheel.write_text(wheel.name)
    pypi.write_index(tmp_path / "simple", wheels)
    assert '<a href="demo-kit/">' in (tmp_path / "simple/index.html").read_text()
    links = re.findall(r'href="([^"#]+)#sha256=([^"]+)"', (tmp_path / "simple/demo-kit/index.html").read_text())
    assert links == [(wheel.name, hashlib.sha256(wheel.name.encode()).hexdigest()) for wheel in wheels]
    assert (tmp_path / "simple/demo-kit" / wheels[0].name).read_text() == wheels[0].name


# ---------------------------------------------------------------- the server

NAMES = ("pystack-kit", "mirror.bank.example")


def test_the_certificate_is_kept_while_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tls.ensure(tmp_path / "tls", NAMES)
    pem = authority.with_name("server.pem")
    assert pem.stat().st_mode & 0o777 == 0o600
    before = authority.read_bytes(), pem.read_bytes()
    assert tls.ensure(tmp_path / "tls", NAMES) == authority
    assert (authority.read_bytes(), pem.read_bytes()) == before
    tls.ensure(tmp_path / "tls", NAMES[:1])
    assert pem.read_bytes() != before[1]
    monkeypatch.setattr(tls, "LEFT", 2 * tls.VALID)
    before = authority.read_bytes(), pem.read_bytes()
    tls.ensure(tmp_path / "tls", NAMES[:1])
    assert pem.read_bytes() != before[1], "it ends soon"
    assert pem.stat().st_mode & 0o777 == 0o600


def test_the_authority_vouches_for_both_names_and_nothing_else(tmp_path: Path) -> None:
    authority, pem = tls.make(NAMES)
    ca, certificate = x509.load_pem_x509_certificate(authority), x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(ca)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_files_are_served_over_http_and_https(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    authority = tls.ensure(tmp_path / "tls", ("localhost",))
    pem = str(authority.with_name("server.pem"))
    client = ssl.create_default_context(cafile=str(authority))
    for context in (None, serve.context_of(pem)):
        httpd = serve.start(str(tmp_path), 0, context)
        try:
            port = httpd.server_address[1]
            connection = (
                http.client.HTTPSConnection("localhost", port, context=client, timeout=10)
                if context
                else http.client.HTTPConnection("localhost", port, timeout=10)
            )
            for path, status in (("/file", 200), ("/none", 404), ("/file", 200)):
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == status
            assert body == b"content"
            connection.close()
        finally:
            httpd.shutdown()
            httpd.server_close()


def test_the_server_is_replaced_when_something_else_is_served(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_text("one")
    mounts = {tmp_path / "a": "api/conda"}
    found = [server.served(mounts, pem), server.served({tmp_path / "b": "api/conda"}, pem)]
    assert server.served(dict(mounts), pem) == found[0]
    pem.write_text("another")
    found.append(server.served(mounts, pem))
    assert len(set(found)) == 3
