"""Keys, certificates and secrets of a lab: random, made once, readable by their owner only."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .layout import Lab
from .project import Project

PLAIN = "lab"
"""The value of fields that are no secret, such as a user name."""


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Writes a file that never exists with another mode than this; one that has this content already is left alone."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def make(lab: Lab) -> None:
    """Makes what is not there yet."""
    known = json.loads(lab.secrets.read_text()) if lab.secrets.exists() else {}
    if missing := {
        field: value for field, value in random_secrets(lab.project).items() if field not in known
    }:
        write(lab.secrets, json.dumps({**known, **missing}, indent=1) + "\n")
    if not (lab.directory / "id").exists():
        keygen(lab.directory / "id")
    registry, _ = lab.project.registry
    if not is_certificate_of(lab.directory / "registry" / "registry.crt", registry):
        make_certificate(lab.directory / "registry", registry)
    write_htpasswd(lab)
    for host in lab.machines:
        folder = host_folder(lab, host.node)
        if not (folder / "host_key").exists():
            folder.mkdir(parents=True, exist_ok=True)
            keygen(folder / "host_key")
        write(folder / "authorized_keys", (lab.directory / "id.pub").read_text())
        write(folder / "ca.crt", (lab.directory / "registry" / "ca.crt").read_text(), 0o644)
    write(lab.known_hosts, known_hosts(lab), 0o644)
    write(lab.ssh_config, ssh_config(lab), 0o644)


def host_folder(lab: Lab, node: str) -> Path:
    """The part of the lab's folder that a host can see."""
    return lab.directory / "hosts" / node


def fingerprint(folder: Path) -> str:
    """Of the files in a folder; a private key's public one stands for it."""
    files = sorted(path for path in folder.iterdir() if path.name != "host_key")
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def random_secrets(project: Project) -> dict[str, str]:
    """Fields as in the vault: random, but for those that lab.toml gives, and those that are no secret by themselves."""
    lengths: dict[str, int] = {}
    for spec in project.environment.secrets.values():
        enough = 0 if not spec.redact and spec.min_length <= len(PLAIN) else max(24, spec.min_length)
        lengths[spec.field] = max(lengths.get(spec.field, 0), enough)
    values = {field: secrets.token_urlsafe(length) if length else PLAIN for field, length in lengths.items()}
    return values | {field: value for field, value in project.file.secrets.items() if field in values}


def registry_password(lab: Lab) -> str:
    """The password of the private registry's only user."""
    environment = lab.project.environment
    return str(json.loads(lab.secrets.read_text())[environment.secrets[environment.registry.password].field])


def keygen(path: Path) -> None:
    """An ed25519 key pair without a passphrase, as ssh-keygen would write it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    write(path, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    write(path.with_suffix(".pub"), public + b" lab\n", 0o644)


def known_hosts(lab: Lab) -> str:
    """One line a host, under the alias that ssh_config gives it."""
    lines = []
    for host in lab.machines:
        public = (host_folder(lab, host.node) / "host_key.pub").read_text().split()
        lines.append(f"{host.name} {public[0]} {public[1]}\n")
    return "".join(lines)


def ssh_config(lab: Lab) -> str:
    """Reaches the hosts by their own names."""
    blocks = [
        f"""\
Host {host.name}
    HostName 127.0.0.1
    Port {lab.port(host.node, 22)}
    HostKeyAlias {host.name}
"""
        for host in lab.machines
    ]
    shared = f"""\
Host {" ".join(host.name for host in lab.machines)}
    User root
    IdentityFile "{lab.directory / "id"}"
    IdentitiesOnly yes
    UserKnownHostsFile "{lab.known_hosts}"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""
    return "\n".join([*blocks, shared])


def write_htpasswd(lab: Lab) -> None:
    """The registry's password file; it is written anew only when user or password do not fit it."""
    import bcrypt

    path = lab.directory / "registry" / "htpasswd"
    password = registry_password(lab).encode()
    user = lab.project.environment.registry.username
    known, _, hashed = path.read_text().strip().partition(":") if path.exists() else ("", "", "")
    if known == user and bcrypt.checkpw(password, hashed.encode()):
        return
    write(path, f"{user}:{bcrypt.hashpw(password, bcrypt.gensalt(8)).decode()}\n")


def is_certificate_of(path: Path, host: str) -> bool:
    """Whether a file has a certificate for a host's name."""
    from cryptography import x509

    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return host in names.get_values_for_type(x509.DNSName)


def make_certificate(folder: Path, host: str) -> None:
    """The registry's own authority and certificate.

    Args:
        host: the registry's name.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("lab authority"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=825))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = builder("lab authority", ca_key.public_key(), authority=True).sign(ca_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName("localhost")])
    certificate = (
        builder(host, key.public_key(), authority=False)
        .add_extension(names, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    write(
        folder / "registry.key",
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    write(folder / "registry.crt", certificate.public_bytes(pem), 0o644)
    write(folder / "ca.crt", ca.public_bytes(pem), 0o644)
