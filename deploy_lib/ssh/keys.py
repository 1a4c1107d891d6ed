"""The keys that a login can be tried with, in the order in which `ssh` tries them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field
from paramiko.message import Message

from deploy_lib.ssh.agent import Agent, AgentError, AgentKey, Handshake
from deploy_lib.ssh.asking import Asker
from deploy_lib.ssh.certificate import SUFFIX, USER, parse, rsa_bits
from deploy_lib.ssh.keyfiles import UnusableError, is_encrypted, is_private, load, public
from deploy_lib.ssh.target import Keys

_RSA_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class Candidate(Struct):
    """One key.

    Attributes:
        title: what messages call it.
        blob: the public key or certificate that the server is offered; None where only the private half knows.
        plain: the public key without a certificate.
        file: where its private half may be.
        agent: who signs, where an agent has it.
        held: the agent's own key; it may have the key without the certificate.
    """

    title: str
    blob: bytes | None
    plain: bytes | None
    file: Path | None = None
    agent: Agent | None = None
    held: bytes = b""

    @property
    def kind(self) -> str:
        """Its type, such as "ssh-ed25519" or a certificate's; "" where that is not known yet."""
        return Message(self.blob).get_text() if self.blob else ""

    @property
    def touched(self) -> bool:
        """Whether it is on a security key, which somebody has to touch."""
        return self.kind.startswith("sk-")

    @property
    def silent(self) -> bool:
        """Whether it can sign without asking anybody, as far as is known."""
        return self.agent is None and not self.touched and not (self.file and is_encrypted(self.file))

    def open(self, asker: Asker, prompts: int, rsa_size: int = 0) -> None:
        """Reads the private half of one whose public half is not known.

        Args:
            rsa_size: the fewest bits of an RSA key.

        Raises:
            UnusableError: that cannot be read, or is too short.
        """
        if self.blob is None and self.file is not None:
            self.blob = self.plain = load(self.file, asker, prompts).asbytes()
        bits = rsa_bits(self.blob or b"")
        if bits is not None and bits < rsa_size:
            raise UnusableError(
                f"it has {bits} bits, and RequiredRSASize is {rsa_size}	use a key of another type: ssh-keygen -t ed25519"
            )

    def sign(self, data: bytes, algorithm: str, asker: Asker, prompts: int) -> bytes:
        """A signature.

        Args:
            algorithm: without a certificate's suffix.

        Raises:
            UnusableError: there is none, such as without a passphrase.
        """
        if self.agent is not None:
            if self.touched:
                asker.tell(f"touch the security key {self.title}")
            try:
                return self.agent.sign(self.held, data, _RSA_FLAGS.get(algorithm, 0))
            except AgentError as error:
                raise UnusableError(
                    f"{error} to sign with it\tunlock the agent, or see what it asks"
                ) from None
        if self.file is None:
            raise UnusableError("its private half is nowhere\tadd it to the agent: ssh-add FILE")
        signature = load(self.file, asker, prompts).sign_ssh_data(data, algorithm)
        return signature.asbytes() if isinstance(signature, Message) else bytes(signature)


class Found(Struct):
    """All keys for one login.

    Attributes:
        keys: in order.
        notes: what was looked for and is not usable, and why.
    """

    keys: list[Candidate]
    notes: list[str] = field(default_factory=list)


def find(wanted: Keys, further: tuple[Path, ...] = (), handshake: Handshake | None = None) -> Found:
    """The keys for a login; nothing is asked of anybody yet.

    Args:
        further: private key files that the command line names; they come first.
        handshake: that of the session that is logged in to.
    """
    notes: list[str] = []
    listed = list(_files((*further, *wanted.files), with_certificates=not wanted.certificates))
    agent = Agent(wanted.agent or "", handshake)
    held = _held_by_agent(agent, notes)
    preferred = [
        c for path in wanted.certificates if (c := _certified(path, listed, held, agent)) is not None
    ]
    others = []
    for key in held:
        own = next((c for c in listed if c.blob == key.blob), None)
        if own is not None:
            listed.remove(own)
            preferred.append(Candidate(own.title, own.blob, own.plain, own.file, agent, held=key.blob))
        elif not wanted.only:
            others.append(Candidate(_title(key), key.blob, key.blob, None, agent, held=key.blob))
    for candidate in listed:
        # A certificate beside its key: the agent may have the key alone.
        if candidate.blob != candidate.plain and any(k.blob == candidate.plain for k in held):
            candidate.agent, candidate.held = agent, candidate.plain or b""
    # A public half alone is nothing to log in with: its private half would be in the agent.
    usable = [c for c in listed if c.agent or (c.file and is_private(c.file))]
    notes += [
        f"{c.title}: its private half is neither in that file nor in the agent"
        for c in listed
        if c not in usable
    ]
    return Found([c for c in (*preferred, *others, *usable) if _accepted(c, wanted.accepted)], notes)


def _held_by_agent(agent: Agent, notes: list[str]) -> list[AgentKey]:
    if not agent.path:
        return []
    try:
        return agent.keys()
    except AgentError as error:
        notes.append(str(error))
        return []


def _files(paths: tuple[Path, ...], *, with_certificates: bool) -> Iterator[Candidate]:
    for path in dict.fromkeys(paths):
        plain = public(path)
        if plain is None and not path.is_file():
            continue
        yield Candidate(str(path), plain, plain, path)
        beside = public(Path(f"{path}-cert")) if with_certificates else None
        if beside is not None and _is_certificate(beside):
            yield Candidate(f"{path}-cert.pub", beside, plain, path)


def _certified(path: Path, listed: list[Candidate], held: list[AgentKey], agent: Agent) -> Candidate | None:
    """A CertificateFile with whoever has its private half."""
    blob = public(path)
    proof = parse(blob) if blob is not None else None
    if blob is None or proof is None or proof.use != USER:
        return None
    if any(key.blob == blob for key in held):
        return Candidate(str(path), blob, blob, None, agent, held=blob)
    key = proof.subject
    if any(each.blob == key for each in held):
        return Candidate(str(path), blob, key, None, agent, held=key)
    own = next((c for c in listed if c.plain == key and c.file and is_private(c.file)), None)
    return Candidate(str(path), blob, key, own.file) if own else None


def _accepted(candidate: Candidate, algorithms: tuple[str, ...]) -> bool:
    if not algorithms or not candidate.kind:
        return True
    kind, suffix = candidate.kind.removesuffix(SUFFIX), SUFFIX if candidate.kind.endswith(SUFFIX) else ""
    names = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
    return any(f"{name}{suffix}" in algorithms for name in names)


def _is_certificate(blob: bytes) -> bool:
    found = parse(blob)
    return found is not None and found.use == USER


def _title(key: AgentKey) -> str:
    return f"{key.comment or 'a key'} of the agent"
