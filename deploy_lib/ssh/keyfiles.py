"""Key files: what can be read without a passphrase, and private keys, whose passphrase is asked for once."""

from __future__ import annotations

import base64
import binascii
import io
import os
import stat
import threading
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.message import Message

from deploy_lib.ssh.asking import Asker

_opened: dict[Path, paramiko.PKey] = {}
"""Private keys that a passphrase has opened: it is asked for once, whatever the number of nodes."""

_clear: dict[tuple[Path, int, int, int], paramiko.PKey] = {}
"""Those without one, by file and its state: an RSA key of 4096 bits takes 0.3 s of CPU to be read, because its primes are checked."""

_reading = threading.Lock()


class UnusableError(Exception):
    """A key cannot sign; the message says why, and after a tab what to do about it."""


def public(path: Path) -> bytes | None:
    """The public half of a key: in that file, in the `.pub` beside it, or in the clear part of the private key."""
    for each in (path, Path(f"{path}.pub")):
        try:
            words = each.read_text(errors="replace").split(None, 2)
            if len(words) > 1 and not words[0].startswith("-"):
                blob = base64.b64decode(words[1], validate=True)
                if Message(blob).get_text() == words[0]:
                    return blob
        except (OSError, ValueError, binascii.Error):
            continue
    return _clear_part(path)


def _clear_part(path: Path) -> bytes | None:
    message = _openssh(path)
    if message is None:
        return None
    for _ in range(3):  # the cipher, and how the passphrase becomes its key
        message.get_binary()
    return message.get_binary() if message.get_int() else None


def _openssh(path: Path) -> Message | None:
    """What is in a private key of OpenSSH's own format, after its magic."""
    try:
        lines = path.read_text().strip().splitlines()
        if not lines or lines[0] != "-----BEGIN OPENSSH PRIVATE KEY-----":
            return None
        data = base64.b64decode("".join(lines[1:-1]))
    except (OSError, ValueError):
        return None
    return Message(data[15:]) if data.startswith(b"openssh-key-v1\0") else None


def is_private(path: Path) -> bool:
    """Whether a file has a private key."""
    try:
        with path.open("rb") as file:
            return b"PRIVATE KEY-----" in file.read(200)
    except OSError:
        return False


def is_encrypted(path: Path) -> bool:
    """Whether a private key takes a passphrase."""
    message = _openssh(path)
    if message is not None:
        return message.get_binary() != b"none"
    try:
        start = path.read_text()[:300]
    except (OSError, ValueError):
        return False
    return "ENCRYPTED" in start


def load(path: Path, asker: Asker, prompts: int) -> paramiko.PKey:
    """A private key; its passphrase is asked for once, where there is somebody to ask.

    Raises:
        UnusableError: it cannot be read, or nobody knows its passphrase.
    """
    if path in _opened:
        return _opened[path]
    try:
        found = path.stat()
    except OSError as error:
        raise UnusableError(f"{error.strerror}\tmake it readable") from None
    if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        raise UnusableError(f"others may read it, so that it is not used\tchmod 600 {path}")
    if not is_encrypted(path):
        state = (path, found.st_ino, found.st_size, found.st_mtime_ns)
        with _reading:
            if state not in _clear:
                _clear[state] = _read(path, None)
            return _clear[state]
    with asker.turn:
        if path in _opened:  # another node has asked in the meantime
            return _opened[path]
        if not asker.there:
            raise UnusableError(
                f"it is encrypted, and there is no terminal to ask for its passphrase\tssh-add {path}"
            )
        for _ in range(prompts):
            if not (passphrase := asker.secret(f"Enter passphrase for key '{path}': ")):
                break
            try:
                _opened[path] = _read(path, passphrase)
                return _opened[path]
            except UnusableError:
                continue
    raise UnusableError(f"its passphrase was not given\tssh-add {path}")


def _read(path: Path, passphrase: str | None) -> paramiko.PKey:
    try:
        return _parsed(path.read_bytes(), passphrase.encode() if passphrase else None)
    except Exception as error:  # noqa: BLE001 - libraries below raise nearly anything
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnusableError(f"it cannot be read as a private key: {why}\tssh-keygen -y -f {path}") from None


def _parsed(data: bytes, passphrase: bytes | None) -> paramiko.PKey:
    """A key in any format that ssh-keygen writes. Paramiko reads fewer, so it is given all of them in one."""
    openssh = data.lstrip().startswith(b"-----BEGIN OPENSSH")
    loaded: Any = (serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key)(
        data, passphrase
    )
    if isinstance(loaded, rsa.RSAPrivateKey):
        return paramiko.RSAKey(key=loaded)  # read once more, it would be checked once more
    kinds: dict[Any, Any] = {
        ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
        ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
    }
    kind = next((own for theirs, own in kinds.items() if isinstance(loaded, theirs)), None)
    if kind is None:
        raise ValueError("keys of its type are not supported")
    form = serialization.PrivateFormat.OpenSSH
    clear = loaded.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    key: paramiko.PKey = kind.from_private_key(io.StringIO(clear.decode()))
    return key
