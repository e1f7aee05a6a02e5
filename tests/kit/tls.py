"""The authority of the kit's https, made on this machine, and the server's certificate."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
VALID = 365 * DAY
#: A certificate that ends within this time is made anew.
LEFT = 30 * DAY


def ensure(folder: Path, names: tuple[str, ...]) -> Path:
    """Make ca.crt and server.pem (key and certificate) in a folder unless they serve these names for a while yet.

    The authority's key is not kept: a new certificate means a new authority. Gives the path of ca.crt.
    """
    authority, server = folder / "ca.crt", folder / "server.pem"
    if not (authority.is_file() and server.is_file() and _serves(server.read_bytes(), names)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority_pem, server_pem = make(names)
        server.unlink(missing_ok=True)
        server.touch(mode=0o600)
        server.write_bytes(server_pem)
        authority.write_bytes(authority_pem)
    return authority


def make(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """A new authority's certificate, and key and certificate of a server of these names, as PEM."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = _name("Authority of the pystack.infra offline kit")
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    authority = (
        _builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _builder(_name(names[0]), ca_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return authority.public_bytes(Encoding.PEM), private + server.public_bytes(Encoding.PEM)


def _serves(pem: bytes, names: tuple[str, ...]) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ends = certificate.not_valid_after_utc
    now = datetime.datetime.now(datetime.timezone.utc)
    return tuple(held.get_values_for_type(x509.DNSName)) == names and ends - now > LEFT


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + VALID)
    )
