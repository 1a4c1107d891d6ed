"""Keys, certificates and secrets of a lab: random, made once, readable by their owner only."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.layout import DOMAIN, NODES, USERNAME, Lab


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
    if not lab.secrets.exists():
        write(lab.secrets, json.dumps(random_secrets(), indent=1) + "\n")
    if not (lab.directory / "id").exists():
        keygen(lab.directory / "id")
    if not (lab.directory / "registry" / "ca.crt").exists():
        make_certificate(lab.directory / "registry")
    write_htpasswd(lab)
    for node in NODES:
        folder = host_folder(lab, node)
        if not (folder / "host_key").exists():
            folder.mkdir(parents=True, exist_ok=True)
            keygen(folder / "host_key")
        write(folder / "authorized_keys", (lab.directory / "id.pub").read_text())
        write(folder / "ca.crt", (lab.directory / "registry" / "ca.crt").read_text(), 0o644)
    write(lab.known_hosts, known_hosts(lab), 0o644)
    write(lab.ssh_config, ssh_config(lab), 0o644)


def host_folder(lab: Lab, node: str) -> Path:
    """What a host gets to see of the lab's folder."""
    return lab.directory / "hosts" / node


def fingerprint(folder: Path) -> str:
    """Of the files in a folder; a private key's public one stands for it."""
    files = sorted(path for path in folder.iterdir() if path.name != "host_key")
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def random_secrets() -> dict[str, str]:
    """Fields as in the vault; all but the user name are random."""
    return {
        "db_username": "ktrdr",
        "db_password": secrets.token_urlsafe(24),
        "jwt_secret": secrets.token_urlsafe(36),
        "grafana_password": secrets.token_urlsafe(18),
        "ghcr_token": secrets.token_urlsafe(30),
    }


def registry_password(lab: Lab) -> str:
    """The password of the private registry's only user."""
    return str(json.loads(lab.secrets.read_text())["ghcr_token"])


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
    for node, host in NODES.items():
        public = (host_folder(lab, node) / "host_key.pub").read_text().split()
        lines.append(f"{host} {public[0]} {public[1]}\n")
    return "".join(lines)


def ssh_config(lab: Lab) -> str:
    """Reaches the hosts by their own names."""
    blocks = [
        f"""\
Host {host}
    HostName 127.0.0.1
    Port {lab.ports[f"{node}:22"]}
    HostKeyAlias {host}
"""
        for node, host in NODES.items()
    ]
    shared = f"""\
Host {" ".join(NODES.values())}
    User root
    IdentityFile "{lab.directory / "id"}"
    IdentitiesOnly yes
    UserKnownHostsFile "{lab.known_hosts}"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""
    return "\n".join([*blocks, shared])


def write_htpasswd(lab: Lab) -> None:
    """The registry's password file; it is written anew only when the password does not fit it."""
    import bcrypt

    path = lab.directory / "registry" / "htpasswd"
    password = registry_password(lab).encode()
    if path.exists() and bcrypt.checkpw(password, path.read_text().strip().partition(":")[2].encode()):
        return
    write(path, f"{USERNAME}:{bcrypt.hashpw(password, bcrypt.gensalt(8)).decode()}\n")


def make_certificate(folder: Path) -> None:
    """The registry's own authority and certificate."""
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
    names = x509.SubjectAlternativeName([x509.DNSName(f"registry.{DOMAIN}"), x509.DNSName("localhost")])
    certificate = (
        builder(f"registry.{DOMAIN}", key.public_key(), authority=False)
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
