"""Host certificates: who signed one, for which names and for how long (OpenSSH's PROTOCOL.certkeys)."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import paramiko
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


@dataclass(frozen=True)
class Certificate:
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
        return f"{Message(self.authority).get_text()} {fingerprint(self.authority)}"

    def problem(self, name: str, algorithms: Collection[str], now: float | None = None) -> str:
        """Why it does not prove that a key belongs to the host `name`; "" when it does, if its authority is trusted.

        Args:
            algorithms: those that it may be signed with; empty: all.
            now: seconds since 1970.
        """
        now = time.time() if now is None else now
        algorithm = Message(self.signature).get_text()
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
            key = paramiko.PKey.from_type_string(Message(self.authority).get_text(), self.authority)
            return bool(key.verify_ssh_sig(self.signed, Message(self.signature)))
        except Exception:  # noqa: BLE001 - whatever cannot be verified is not
            return False


def parse(blob: bytes) -> Certificate | None:
    """A certificate from its binary form; None for what is none, or one that cannot be read."""
    message = Message(blob)
    kind = message.get_text()
    fields = _KEY_FIELDS.get(kind.removesuffix(SUFFIX))
    if not kind.endswith(SUFFIX) or fields is None:
        return None
    message.get_binary()  # the nonce
    subject = Message()
    plain = kind.removesuffix(SUFFIX)
    subject.add_string(f"{plain}@openssh.com" if plain.startswith("sk-") else plain)
    for _ in range(fields):
        subject.add_string(message.get_binary())
    message.get_int64()  # the serial number
    use = message.get_int()
    message.get_binary()  # the key's id
    principals = tuple(text.decode(errors="replace") for text in _strings(message.get_binary()))
    begins, ends = message.get_int64(), message.get_int64()
    critical = tuple(text.decode(errors="replace") for text in _strings(message.get_binary())[::2])
    message.get_binary()  # extensions
    message.get_binary()  # reserved
    authority, signature = message.get_binary(), message.get_binary()
    if not signature or message.get_remainder():
        return None
    return Certificate(
        subject=subject.asbytes(),
        use=use,
        principals=principals,
        begins=begins,
        ends=ends,
        critical=critical,
        authority=authority,
        signed=blob[: -len(signature) - 4],
        signature=signature,
    )


def _strings(packed: bytes) -> list[bytes]:
    message, found = Message(packed), []
    while message.get_remainder():
        found.append(message.get_binary())
    return found


def _when(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(seconds, 253402300799)))
