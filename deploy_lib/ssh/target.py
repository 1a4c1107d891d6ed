"""Where a host is, which host keys are its own, and how to log in to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from msgspec import Struct, field

from deploy_lib.values import Selective

METHODS = ("publickey", "keyboard-interactive", "password")
"""The ways to log in that this program knows, in ssh's order."""


class Keys(Struct, frozen=True):
    """How to log in.

    Attributes:
        files: the IdentityFiles, in their order; some may not exist.
        certificates: the CertificateFiles.
        only: nothing of the agent that is not among these (IdentitiesOnly).
        agent: the agent's socket.
        methods: the methods that may be tried, in their order.
        batch: nothing may be asked (BatchMode).
        prompts: how often a passphrase or password is asked for.
        accepted: the algorithms that a key may have; empty: all.
        rsa_size: the fewest bits of an RSA key (RequiredRSASize).
    """

    files: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    only: bool = False
    agent: str | None = None
    methods: tuple[str, ...] = METHODS
    batch: bool = False
    prompts: int = 3
    accepted: tuple[str, ...] = ()
    rsa_size: int = 0


class Trust(Selective, frozen=True):
    """Which host keys are accepted.

    Attributes:
        alias: HostKeyAlias.
        user_files: the user's known_hosts files; a new key goes into the first.
        global_files: the machine's.
        command: KnownHostsCommand, whose output is one more file; its tokens are not expanded.
        revoked: the file of RevokedHostKeys.
        accept_new: StrictHostKeyChecking is "accept-new"; anything else is strict.
        hashed: names are hashed in new lines (HashKnownHosts).
        algorithms: HostKeyAlgorithms; empty: all.
        chosen: these differ from ssh's own, so that their order counts more than what is known.
        authorities: the algorithms that a certificate may be signed with (CASignatureAlgorithms); empty: all.
        rsa_size: the fewest bits of an RSA key (RequiredRSASize).
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("command",)

    alias: str | None = None
    user_files: tuple[Path, ...] = ()
    global_files: tuple[Path, ...] = ()
    command: str | None = None
    revoked: Path | None = None
    accept_new: bool = False
    hashed: bool = False
    algorithms: tuple[str, ...] = ()
    chosen: bool = False
    authorities: tuple[str, ...] = ()
    rsa_size: int = 0


class Target(Selective, frozen=True):
    """One end of an SSH connection.

    Attributes:
        name: the name that the operator uses.
        hostname: the name or address to connect to.
        jump: the ProxyJump hosts, nearest first.
        proxy_command: a shell's command line, expanded.
        passes_socket: that command hands over a connected socket (ProxyUseFdpass).
        family: AddressFamily: "any", "inet" or "inet6".
        bind: BindAddress.
        interface: BindInterface.
        attempts: how often TCP is tried (ConnectionAttempts).
        timeout: ConnectTimeout, in seconds; None: this program's own.
        ciphers, macs, kex: the algorithms, where ssh_config sets them; empty: Paramiko's own.
        shared: where a session may listen that the operator has opened already (ControlPath); None: nowhere.
        tokens: what ssh_config's tokens stand for, where they were needed.
        not_done: what ssh_config sets for it and is not done here.
        jump_of: the host that it is a jump host of; "" when it is none.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("proxy_command",)
    IGNORED: ClassVar[tuple[str, ...]] = ("tokens",)

    name: str
    hostname: str
    port: int
    user: str
    keys: Keys = Keys()
    trust: Trust = Trust()
    jump: tuple[str, ...] = ()
    proxy_command: str | None = None
    passes_socket: bool = False
    family: str = "any"
    bind: str | None = None
    interface: str | None = None
    attempts: int = 1
    timeout: int | None = None
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    kex: tuple[str, ...] = ()
    shared: str | None = None
    tokens: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    not_done: tuple[str, ...] = ()
    jump_of: str = ""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.name} (the jump host of {self.jump_of})" if self.jump_of else self.name

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names that known_hosts is searched for, as `ssh` does; a new key is written down under the first."""
        if self.trust.alias:
            return (self.trust.alias,)
        return (self.hostname,) if self.port == 22 else (f"[{self.hostname}]:{self.port}", self.hostname)
