"""Why there is no connection to a host: the stage that failed, and the one thing to do about it."""

from __future__ import annotations

import os
import shlex
import socket

from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    IncompatiblePeer,
    NoValidConnectionsError,
    SSHException,
)

from deploy_lib.errors import Stage, UnreachableError
from deploy_lib.ssh.certificate import rsa_bits
from deploy_lib.ssh.hostkeys import fingerprint
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.trust import Known, Presented, ends_with_a_line, line, usable_files

_NO_SERVER = "is that an SSH server?"

_OWN_FINGERPRINT = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


class HostKeyError(UnreachableError):
    """The host's key is unknown, changed or revoked; nothing was sent."""

    stage = "host key"


class LoginError(AuthenticationException):
    """The host let nobody in.

    Attributes:
        hint: what to do about it.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class GreetingError(SSHException):
    """The server did not get as far as keys.

    Attributes:
        hint: what to do about it, as a sentence.
    """

    def __init__(self, what: str = "", hint: str = _NO_SERVER) -> None:
        super().__init__(what)
        self.hint = hint


class ProxyError(OSError):
    """ProxyCommand ended, or gave no connection."""


def explain(target: Target, error: Exception) -> UnreachableError:
    """Why there is no connection to this host, for the operator."""
    where = f"{target.user}@{target.hostname}:{target.port}"
    where += f" (the jump host of {target.jump_of})" if target.jump_of else ""
    stage: Stage
    if isinstance(error, socket.gaierror):
        stage, what = "name", f"the name {target.hostname} does not resolve"
        what += f"; it is the jump host of {target.jump_of}" if target.jump_of else ""
        hint = "check DNS or ssh_config's HostName"
        if target.family != "any":
            hint += f"; AddressFamily is {target.family}"
    elif isinstance(error, ProxyError):
        stage, what = "TCP", f"ProxyCommand makes no connection to {where}: {error}"
        # Not the command itself: it may have a password, and this may go into a log.
        hint = (
            f"run it by hand: ssh -G {target.name} shows it. It has no terminal here, and can ask nothing: where it asks, "
            "ProxyJump does instead of it, or an agent with its key"
        )
    elif isinstance(error, ChannelException | TimeoutError) and target.jump:
        why = error.text if isinstance(error, ChannelException) else error
        stage, what = "TCP", f"the jump host {target.jump[-1]} makes no TCP connection to {where}: {why}"
        hint = (
            "is the host up, can the jump host reach it, and does the jump host's sshd allow TCP forwarding?"
        )
    elif isinstance(error, NoValidConnectionsError | TimeoutError | OSError):
        stage, what = "TCP", f"no TCP connection to {where}: {error}"
        hint = "is the host up, and sshd listening there?"
    elif isinstance(error, LoginError):
        stage, what, hint = "login", f"{where} refused the login: {error}", error.hint
    elif isinstance(error, AuthenticationException) or "authentication" in str(error).lower():
        stage, what = "login", f"{where} refused the login: {error}"
        hint = f"see which keys are tried: ssh -v {target.name}"
    elif isinstance(error, IncompatiblePeer):
        stage, what = "SSH", f"no SSH session with {where}: {error}"
        hint = (
            "no algorithm suits both; compare ssh_config's Ciphers, MACs, KexAlgorithms and HostKeyAlgorithms with what "
            f"`ssh -vv {target.name}` says the server has"
        )
    else:
        stage, what = "SSH", f"no SSH session with {where}: {error}"
        hint = error.hint if isinstance(error, GreetingError) else _NO_SERVER
        hint = f"{hint} See: ssh -v {target.name}"
    problem = UnreachableError(_printable(what), hint=hint)
    problem.stage, problem.jump = stage, bool(target.jump_of)
    return problem


def refusal(known: Known, key: Presented, problem: str) -> HostKeyError:
    """Why a host's key is not accepted, and what makes it accepted, if it is the right one.

    Args:
        problem: see `Known.problem`.
    """
    target, verdict = known.target, known.verdict
    name = target.known_names[0]
    accepted = ", ".join(f"{k.key_type} {fingerprint(k.key)}" for k in verdict.accepted)
    if problem == "short":
        error = HostKeyError(
            f"{target.title} presents a key of {rsa_bits(key.blob)} bits, and RequiredRSASize is {target.trust.rsa_size}: {key.shown}",
            hint="give the host a key of another type, and take the short one out of its sshd_config: ssh-keygen -A makes one",
        )
    elif problem == "revoked":
        what, hint = _revoked(known, key)
        error = HostKeyError(what, hint=hint)
    elif problem == "changed":
        files = known.where("", [name])
        error = HostKeyError(
            f"the host key of {target.title} has changed: it presents {key.shown}, "
            f"and {' and '.join(files)} has {accepted} for {name}{_about_authorities(known, key)}",
            hint="this is what an attack looks like; if the host was really reinstalled, compare the fingerprint with its "
            f"own ({_OWN_FINGERPRINT}), then replace the key: "
            + " && ".join([*_removing(files, name), _adding(target, key)]),
        )
    else:
        other = f" but {accepted} for {verdict.name}, which is another server's" if accepted else ""
        error = HostKeyError(
            f"the host key of {target.title} is not known; it presents {key.shown}, "
            f"and no known_hosts file has a key for {name}{other}{_about_authorities(known, key)}",
            hint=f"compare that fingerprint with the host's own ({_OWN_FINGERPRINT}), "
            f"then add it: {_adding(target, key)}",
        )
    error.what = _printable(error.what)
    error.jump = bool(target.jump_of)
    return error


def _printable(text: str) -> str:
    """Without what a terminal would obey: the words of a host that nobody has verified are among it."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _revoked(known: Known, key: Presented) -> tuple[str, str]:
    """What revokes a key, and what to do about that very thing."""
    title, verdict, path = known.target.title, known.verdict, known.target.trust.revoked
    marks = ", ".join(known.where("@revoked", known.target.known_names))
    proof = key.certificate
    if key.blob in verdict.revoked:
        return (
            f"{title} presents a key that is marked @revoked: {key.shown}",
            f"the host needs a new host key; the mark is in {marks}",
        )
    if proof is not None and proof.authority in verdict.revoked:
        return (
            f"{title} presents a certificate of an authority that is marked @revoked: {proof.signed_by}",
            f"the host needs a certificate of another authority; the mark is in {marks}",
        )
    if path is not None and not os.access(path, os.R_OK):
        return (
            f"RevokedHostKeys is {path}, which cannot be read, so that no host key is accepted: not that of {title} either",
            "make that file readable, or take RevokedHostKeys out of ssh_config; an empty file revokes nothing",
        )
    return (
        f"{title} presents a key that RevokedHostKeys has: {key.shown}",
        f"the host needs a new host key, or certificate; where {path} should not have it: one line there that is no key, "
        "or a damaged list, revokes every key",
    )


def _about_authorities(known: Known, key: Presented) -> str:
    """What certificates have to do with it; "" where neither side has any."""
    target, proof = known.target, key.certificate
    lines = ", ".join(known.where("@cert-authority", target.known_names))
    if proof is None:
        return f"; {lines} has a @cert-authority line for it, and it presents no certificate" if lines else ""
    if known.authorized(proof):
        return f"; its certificate, signed by {proof.signed_by}, does not count: {known.certificate_problem(proof)}"
    where = (
        f"the @cert-authority line in {lines} has another" if lines else "no @cert-authority line has that"
    )
    return f"; its certificate is signed by {proof.signed_by}, and {where}"


def _removing(files: list[str], name: str) -> list[str]:
    return [
        f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(file)}" for file in files if file.startswith("/")
    ]


def _adding(target: Target, key: Presented) -> str:
    """A shell command that writes the key down where `ssh` looks for it.

    It holds the key itself, and not `ssh-keyscan`: that reaches no host behind a jump host, knows no HostKeyAlias, and
    might get another key than the one whose fingerprint was compared.
    """
    files = usable_files(target)
    if not files:
        return "ssh_config names no known_hosts file that keeps anything; set UserKnownHostsFile, then run this again"
    path = shlex.quote(str(files[0]))
    steps = [] if files[0].parent.is_dir() else [f"mkdir -p -m 700 {shlex.quote(str(files[0].parent))}"]
    steps += [] if ends_with_a_line(files[0]) else [f"echo >> {path}"]
    return " && ".join([*steps, f"echo {shlex.quote(line(target, key))} >> {path}"])
