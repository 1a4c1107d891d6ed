"""Whether a host is the one that it should be: known_hosts, KnownHostsCommand, RevokedHostKeys, certificate authorities."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import paramiko
from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.ssh import certificate, tokens
from deploy_lib.ssh.certificate import SUFFIX, Certificate, rsa_bits
from deploy_lib.ssh.hostkeys import Verdict, fingerprint, judge, parse_known_hosts
from deploy_lib.ssh.target import Target

COMMAND_TIMEOUT = 20
"""Seconds until KnownHostsCommand must have ended."""

_KRL = b"SSHKRL\n\0"
"""What a key revocation list of ssh-keygen begins with; RevokedHostKeys may also be a plain list of public keys."""


class Presented(Struct, frozen=True):
    """The key that a host has proven to have, and what it says of it."""

    key: paramiko.PKey
    certificate: Certificate | None = None

    @property
    def blob(self) -> bytes:
        """The plain public key."""
        return self.key.asbytes()

    @property
    def whole(self) -> bytes:
        """The certificate, where there is one; otherwise the public key."""
        return self.key.public_blob.key_blob if self.key.public_blob is not None else self.blob

    @property
    def shown(self) -> str:
        """Type and fingerprint, for messages."""
        return f"{self.key.get_name()} {fingerprint(self.blob)}"


def presented(key: paramiko.PKey) -> Presented:
    """The key of a session, with its certificate."""
    public = key.public_blob
    return Presented(key, certificate.parse(public.key_blob) if public is not None else None)


class Known:
    """What is known of one host.

    Attributes:
        verdict: what all sources say together.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        files = (*target.trust.user_files, *target.trust.global_files)
        self._entries = [(str(path), entry) for path in files for entry in parse_known_hosts(text(path))]
        self._ask("ORDER", None)
        self.verdict = self._judged()

    def where(self, marker: str, names: Iterable[str]) -> list[str]:
        """The sources that have lines for one of these names."""
        found = [s for s, e in self._entries if e.marker == marker and any(e.matches(n) for n in names)]
        return list(dict.fromkeys(found))

    def algorithms(self, supported: Iterable[str]) -> tuple[str, ...]:
        """The host key algorithms to ask for, those of what is known first, as `ssh` does.

        Args:
            supported: the plain ones that can be verified.
        """
        trust = self.target.trust
        able = [*(f"{name}{SUFFIX}" for name in supported), *supported]
        wanted = [name for name in trust.algorithms if name in able] if trust.algorithms else able
        if trust.chosen:
            return tuple(wanted)
        types = {_family(entry.key_type) for entry in self.verdict.accepted}

        def unknown(name: str) -> bool:
            if name.endswith(SUFFIX):
                return not self.verdict.authorities
            return _family(name) not in types

        return tuple(sorted(wanted, key=unknown))

    def problem(self, key: Presented) -> str:
        """Why a presented key is not accepted: "short", "revoked", "new" or "changed"; "" when it is accepted."""
        bits = rsa_bits(key.blob)
        if bits is not None and bits < self.target.trust.rsa_size:
            return "short"
        if self.target.trust.command:
            self._ask("HOSTNAME", key)
            self.verdict = self._judged()
        if key.blob in self.verdict.revoked or self._listed_as_revoked(key):
            return "revoked"
        if key.certificate is not None:
            if key.certificate.authority in self.verdict.revoked:
                return "revoked"
            if self.authorized(key.certificate) and not self.certificate_problem(key.certificate):
                return ""
        if any(entry.key == key.blob for entry in self.verdict.accepted):
            return ""
        return "changed" if self.verdict.name == self.target.known_names[0] else "new"

    def authorized(self, proof: Certificate) -> bool:
        """Whether it says that a known authority has signed it."""
        return any(entry.key == proof.authority for entry in self.verdict.authorities)

    def certificate_problem(self, proof: Certificate) -> str:
        """Why a certificate does not prove that the host is this one, whoever has signed it."""
        trust = self.target.trust
        return proof.problem(trust.alias or self.target.hostname, trust.authorities)

    def write_down(self, key: Presented) -> None:
        """Adds a host's first key, as StrictHostKeyChecking "accept-new" has it.

        Raises:
            UsageError: there is no file for it, or it cannot be written.
        """
        files = self.target.trust.user_files
        if not files:
            raise UsageError("StrictHostKeyChecking is accept-new, but there is no UserKnownHostsFile")
        path = files[0]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            start = "" if ends_with_a_line(path) else "\n"
            with path.open("a", **tokens.AS_WRITTEN) as file:
                file.write(f"{start}{line(self.target, key)}\n")
        except OSError as error:
            raise UsageError(
                f"StrictHostKeyChecking is accept-new, but the key of {self.target.title} cannot be kept in {path}: "
                f"{error.strerror}",
                hint="make that file writable, or name another as the first UserKnownHostsFile",
            ) from None

    def _judged(self) -> Verdict:
        return judge([entry for _, entry in self._entries], self.target.known_names)

    def _ask(self, reason: str, key: Presented | None) -> None:
        """Adds what KnownHostsCommand says; `ssh` runs it without a shell, once for the order and once for the key."""
        command = self.target.trust.command
        if not command:
            return
        values = {
            **self.target.tokens,
            "I": reason,
            "H": self.target.known_names[0],
            "t": paramiko.Message(key.whole).get_text() if key else "NONE",
            "f": fingerprint(key.blob) if key else "NONE",
            "K": base64.b64encode(key.whole).decode() if key else "NONE",
        }
        # ssh splits it first: what a token stands for is never more than one word.
        words = shlex.split(command)
        # Its arguments are not shown: they may have a password.
        shown = f"KnownHostsCommand {words[0]}"
        words = [tokens.expand(word, values, "KnownHostsCommand") for word in words]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_TIMEOUT,
                **tokens.AS_WRITTEN,
            )
        except OSError as error:
            raise UsageError(f"{shown}: {error.strerror}", hint="fix your ssh_config") from None
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{shown} did not end within {COMMAND_TIMEOUT} s", hint="fix your ssh_config"
            ) from None
        if done.returncode:
            raise UsageError(
                f"{shown} ended with exit status {done.returncode}: {done.stderr.strip()}",
                hint="fix your ssh_config",
            )
        self._entries += [(shown, entry) for entry in parse_known_hosts(done.stdout)]

    def _listed_as_revoked(self, key: Presented) -> bool:
        """Whether RevokedHostKeys has it; one that cannot be read revokes every key, as with `ssh`."""
        path = self.target.trust.revoked
        if path is None:
            return False
        try:
            listed = path.read_bytes()
        except OSError:
            return True
        if not listed.startswith(_KRL):
            own = {key.blob, key.whole}
            return _in_list(listed, own | {key.certificate.authority} if key.certificate else own)
        with tempfile.TemporaryDirectory() as directory:
            for number, blob in enumerate({key.blob, key.whole}):
                kind = paramiko.Message(blob).get_text()
                public = Path(directory, f"{number}.pub")
                public.write_text(f"{kind} {base64.b64encode(blob).decode()}\n")
                command = ["ssh-keygen", "-Q", "-f", str(path), str(public)]
                if subprocess.run(command, capture_output=True, timeout=COMMAND_TIMEOUT).returncode:
                    return True
        return False


def line(target: Target, key: Presented) -> str:
    """The line of a known_hosts file for a key."""
    name = target.known_names[0]
    return f"{_hashed(name) if target.trust.hashed else name} {key.key.get_name()} {key.key.get_base64()}"


def text(path: Path) -> str:
    """A file's text; "" for one that cannot be read: it accepts nothing."""
    try:
        return path.read_text(**tokens.AS_WRITTEN)
    except OSError:
        return ""


def ends_with_a_line(path: Path) -> bool:
    """Whether a line that is added begins a new one."""
    found = text(path)
    return not found or found.endswith("\n")


def _in_list(listed: bytes, keys: set[bytes]) -> bool:
    """Whether a list of public keys, one a line, has one of these; `ssh` takes a line that is no key for the worst."""
    for each in listed.splitlines():
        words = each.split()
        if not words or words[0].startswith(b"#"):
            continue
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (IndexError, ValueError):
            return True
        # A certificate in the list stands for its key.
        listed_certificate = certificate.parse(blob)
        plain = listed_certificate.subject if listed_certificate else blob
        if paramiko.Message(blob).get_binary() != words[0] or not {blob, plain}.isdisjoint(keys):
            return True
    return False


def _hashed(name: str) -> str:
    salt = secrets.token_bytes(20)
    # SHA-1 is the file format's choice, made by OpenSSH to hide names, not to prove them.
    digest = hmac.new(salt, os.fsencode(name.lower()), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def _family(name: str) -> str:
    """The key type of an algorithm: RSA keys have one type and several algorithms."""
    plain = name.removesuffix(SUFFIX)
    return "ssh-rsa" if plain.startswith("rsa-") else plain


def usable_files(target: Target) -> list[Path]:
    """The known_hosts files that keep what is written into them."""
    files = (*target.trust.user_files, *target.trust.global_files)
    return [path for path in files if str(path) != os.devnull]
