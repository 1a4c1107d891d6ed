"""Host certificates: who signed one, for which names and for how long (OpenSSH's PROTOCOL.certkeys)."""

from __future__ import annotations

import time
from collections.abc import Collection

import paramiko
from msgspec import Struct
from paramiko.message import Message

from deploy_lib.ssh.hostkeys import fingerprint

SUFFIX = "-cert-v01@openssh.com"
"""What a certificate's type ends with; the type of its key is what comes before."""

HOST, USER = 2, 1
"""What a certificate is for."""

_KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "ssh-rsa": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
"""By key type, how many fields its public key has in a certificate."""


class Certificate(Struct, frozen=True):
    """A certificate as it was presented; nothing of it is verified.

    Attributes:
        subject: the plain public key that it is about.
        use: HOST or USER.
        principals: the host names that it is for; empty: any.
        begins, ends: seconds since 1970.
        critical: the names of options that whoever does not know them must refuse.
        authority: the public key that it says it is signed with.
        signed: the bytes that `signature` is about.
    """

    subject: bytes
    use: int
    principals: tuple[str, ...]
    begins: int
    ends: int
    critical: tuple[str, ...]
    authority: bytes
    signed: bytes
    signature: bytes

    @property
    def signed_by(self) -> str:
        """The authority, for messages."""
        return f"{_first(self.authority)} {fingerprint(self.authority)}"

    def problem(self, name: str, algorithms: Collection[str], now: float | None = None) -> str:
        """Why it does not prove that a key belongs to the host `name`; "" when it does, if its authority is trusted.

        Args:
            algorithms: those that it may be signed with; empty: all.
            now: seconds since 1970.
        """
        now = time.time() if now is None else now
        algorithm = _first(self.signature)
        if self.use != HOST:
            return "it is no certificate for a host"
        if algorithms and algorithm not in algorithms:
            return f"it is signed with {algorithm}, which CASignatureAlgorithms does not have"
        if not self._verified():
            return "its signature is wrong"
        if self.critical:
            return f"it has critical options that nobody knows: {', '.join(self.critical)}"
        if now < self.begins:
            return f"it is not valid before {_when(self.begins)}"
        if now >= self.ends:
            return f"it has expired at {_when(self.ends)}"
        # Exactly one of them: these are no patterns.
        if self.principals and name.lower() not in self.principals:
            return f"it is for {', '.join(self.principals)}, and not for {name}"
        return ""

    def _verified(self) -> bool:
        try:
            # One that a security key has made has more fields, which Paramiko does not verify.
            if len(_strings(self.signature)) != 2:
                return False
            key = paramiko.PKey.from_type_string(_first(self.authority), self.authority)
            return bool(key.verify_ssh_sig(self.signed, Message(self.signature)))
        except Exception:  # noqa: BLE001 - whatever cannot be verified is not
            return False


def parse(blob: bytes) -> Certificate | None:
    """A certificate from its binary form; None for what is none, or one that is not exactly in that form."""
    try:
        return _parse(_Reader(blob), blob)
    except ValueError:
        return None


def rsa_bits(blob: bytes) -> int | None:
    """The length of an RSA key, or of the one that a certificate is about; None for a key of another type."""
    proof = parse(blob)
    message = Message(proof.subject if proof else blob)
    if message.get_binary() != b"ssh-rsa":
        return None
    message.get_binary()  # the exponent
    return int.from_bytes(message.get_binary(), "big").bit_length()


def _parse(reader: _Reader, blob: bytes) -> Certificate | None:
    kind = reader.string().decode()
    plain = kind.removesuffix(SUFFIX)
    fields = _KEY_FIELDS.get(plain)
    if not kind.endswith(SUFFIX) or fields is None:
        return None
    reader.string()  # the nonce
    subject = Message()
    subject.add_string(f"{plain}@openssh.com" if plain.startswith("sk-") else plain)
    for _ in range(fields):
        subject.add_string(reader.string())
    reader.number(8)  # the serial number
    use = reader.number(4)
    reader.string()  # the key's id
    principals = _strings(reader.string())
    begins, ends = reader.number(8), reader.number(8)
    critical = _strings(reader.string())[::2]
    reader.string()  # extensions
    reader.string()  # reserved
    authority = reader.string()
    signed = blob[: reader.place]
    signature = reader.string()
    reader.end()
    return Certificate(
        subject=subject.asbytes(),
        use=use,
        principals=tuple(text.decode() for text in principals),
        begins=begins,
        ends=ends,
        critical=tuple(text.decode(errors="replace") for text in critical),
        authority=authority,
        signed=signed,
        signature=signature,
    )


class _Reader:
    """The fields of a blob. Paramiko's own reader makes up what is missing; here that is a ValueError."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self.place = 0

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def string(self) -> bytes:
        return self._take(self.number(4))

    def end(self) -> None:
        if self.place != len(self._blob):
            raise ValueError("there is more than there should be")

    def _take(self, size: int) -> bytes:
        taken = self._blob[self.place : self.place + size]
        if len(taken) != size:
            raise ValueError("it is cut short")
        self.place += size
        return taken


def _strings(packed: bytes) -> list[bytes]:
    reader, found = _Reader(packed), []
    while reader.place < len(packed):
        found.append(reader.string())
    return found


def _first(blob: bytes) -> str:
    """The type that a key or a signature begins with."""
    return Message(blob).get_binary().decode(errors="replace")


def _when(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(seconds, 253402300799)))
