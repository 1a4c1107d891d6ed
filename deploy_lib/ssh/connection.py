"""Fabric's Connection, with verified host keys, and with an environment that is never on a command line."""

from __future__ import annotations

import base64
import logging
import os
import shlex
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from fabric.runners import Remote
from paramiko.client import MissingHostKeyPolicy, SSHClient
from paramiko.hostkeys import HostKeyEntry
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    NoValidConnectionsError,
)

from deploy_lib.errors import DeployError, Stage, UnreachableError, UsageError
from deploy_lib.secrets.value import MASK
from deploy_lib.ssh.framing import Preamble, frame
from deploy_lib.ssh.hostkeys import Verdict, fingerprint, judge, parse_known_hosts
from deploy_lib.ssh.target import Target, resolve

# Without a handler Paramiko's errors are written to standard error by `logging` itself, among the progress. Each is
# raised as well, and reported in this program's words. A log that somebody asked for still gets them; not on
# "paramiko" itself, because `paramiko.util.log_to_file` does nothing when there is a handler.
logging.getLogger("paramiko.transport").addHandler(logging.NullHandler())

CONNECT_TIMEOUT = 10.0
"""Seconds for the TCP connection, the banner, and the login, each."""

CHANNEL_TIMEOUT = 20.0
"""Seconds until a host must have opened a channel; a frozen peer is noticed here."""


class HostKeyError(UnreachableError):
    """The host's key is unknown, changed or revoked; nothing was sent."""

    stage = "host key"


class SafeRemote(Remote):
    """Runs a command with its environment on standard input, so that no process list shows a value."""

    def start(self, command: str, shell: str, env: dict[str, str], timeout: float | None = None) -> None:
        """Starts `command` on a channel of its own; its standard input is at its end afterwards."""
        self.channel = self.context.create_session()
        self._preamble = Preamble()
        line, block = frame(command, env, self._preamble)
        self.channel.exec_command(line)
        self.channel.sendall(block)
        self.channel.shutdown_write()

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        """The command's own output; what the login shell has printed before it is no part of that."""
        while chunk := super().read_proc_stdout(num_bytes):
            if own := self._preamble.strip(chunk):
                return own
        return b""

    def generate_result(self, **kwargs: Any) -> Any:
        """The result, whose `env` names the variables without their values: results are shown, logged and pickled."""
        return super().generate_result(**{**kwargs, "env": dict.fromkeys(kwargs["env"], MASK)})


class StrictConnection(Connection):
    """A Fabric connection to a resolved `Target`; its jump hosts are verified too."""

    target: Target
    ssh_config_file: Path | None

    def __init__(self, target: Target, ssh_config: Path | None = None) -> None:
        config = Config(
            overrides={
                "load_ssh_configs": False,
                "runners": {"remote": SafeRemote},
                "run": {"in_stream": False, "encoding": "utf-8"},
            },
            lazy=True,
        )
        super().__init__(
            host=target.hostname,
            user=target.user,
            port=target.port,
            config=config,
            gateway=_gateway(target, ssh_config),
            connect_timeout=int(CONNECT_TIMEOUT),
            connect_kwargs=_connect_kwargs(target),
        )
        self._set(target=target, ssh_config_file=ssh_config)
        self.client = _strict_client(target)

    def twin(self) -> StrictConnection:
        """Another connection to the same host, not yet open, with the same keys."""
        twin = StrictConnection(self.target, self.ssh_config_file)
        twin.connect_kwargs["key_filename"] = list(self.connect_kwargs["key_filename"])
        return twin

    def get_gateway(self) -> None:
        """No gateway but the one given: Fabric's own would accept any host key."""

    def open(self) -> Any:
        """Connects, unless connected; the agent named in ssh_config is used when there is one.

        Raises:
            UnreachableError: which says whether this host failed or a jump host, and at which stage.
        """
        agent = self.target.identity_agent
        if agent and agent != "SSH_AUTH_SOCK":
            os.environ["SSH_AUTH_SOCK"] = str(Path(agent).expanduser())
        try:
            return super().open()
        except DeployError:
            raise  # the jump host's own
        except Exception as error:  # noqa: BLE001 - Paramiko lets nearly anything through
            raise explain(self.target, error) from None

    def abandon(self) -> None:
        """Closes what a failed `open` leaves: Paramiko keeps the connection to a host whose key was refused."""
        self.client.close()
        if isinstance(self.gateway, StrictConnection):
            self.gateway.abandon()


def connect_to(destination: str, ssh_config: Path | None = None) -> StrictConnection:
    """A connection, not yet open, to `[user@]host[:port]` as ssh_config understands it."""
    return StrictConnection(resolve(destination, ssh_config), ssh_config)


def known_keys(target: Target) -> Verdict:
    """What the known_hosts files of `target` say of it."""
    files = (*target.user_known_hosts, *target.global_known_hosts)
    return judge(parse_known_hosts("\n".join(map(_text, files))), target.known_names)


def explain(target: Target, error: Exception) -> UnreachableError:
    """Why there is no connection to this host, for the operator."""
    where = f"{target.user}@{target.hostname}:{target.port}"
    where += f" (the jump host of {target.jump_of})" if target.jump_of else ""
    stage: Stage
    if isinstance(error, BadHostKeyException):
        return refusal(target, known_keys(target), error.key)
    if isinstance(error, socket.gaierror):
        stage, what = "name", f"the name {target.hostname} does not resolve"
        what += f"; it is the jump host of {target.jump_of}" if target.jump_of else ""
        hint = "check DNS or ssh_config's HostName"
    elif isinstance(error, ChannelException) and target.jump:
        stage, what = (
            "TCP",
            f"the jump host {target.jump[-1]} makes no TCP connection to {where}: {error.text}",
        )
        hint = (
            "is the host up, can the jump host reach it, and does the jump host's sshd allow TCP forwarding?"
        )
    elif isinstance(error, NoValidConnectionsError | TimeoutError | ConnectionError):
        stage, what = "TCP", f"no TCP connection to {where}: {error}"
        hint = "is the host up, and sshd listening there?"
    elif isinstance(error, AuthenticationException) or "authentication" in str(error).lower():
        stage, what = "login", f"{where} refused the login: {error}"
        hint = f"does `ssh {target.name}` work without a question? Check the key, the agent (SSH_AUTH_SOCK) and User"
    else:
        stage, what = "SSH", f"no SSH session with {where}: {error}"
        hint = f"try the same with: ssh -v {target.name}"
    problem = UnreachableError(what, hint=hint)
    problem.stage, problem.jump = stage, bool(target.jump_of)
    return problem


def _gateway(target: Target, ssh_config: Path | None) -> StrictConnection | str | None:
    if not target.jump:
        return target.proxy_command
    gateway: StrictConnection | None = None
    for hop in target.jump:
        connection = StrictConnection(replace(resolve(hop, ssh_config), jump_of=target.name), ssh_config)
        if gateway is not None:
            connection.gateway = gateway
        gateway = connection
    return gateway


def _connect_kwargs(target: Target) -> dict[str, Any]:
    return {
        "key_filename": [str(path) for path in target.identity_files if path.is_file()],
        "allow_agent": not target.identities_only,
        "look_for_keys": False,
        "channel_timeout": CHANNEL_TIMEOUT,
        "banner_timeout": CONNECT_TIMEOUT,
        "auth_timeout": CONNECT_TIMEOUT,
        "transport_factory": _transport,
    }


def _transport(sock: Any, **kwargs: Any) -> paramiko.Transport:
    # Without this every small message waits for the acknowledgement of the one before it.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **kwargs)


def _strict_client(target: Target) -> SSHClient:
    verdict = known_keys(target)
    client = SSHClient()
    name = target.hostname if target.port == 22 else f"[{target.hostname}]:{target.port}"
    keys = client.get_host_keys()
    for known in verdict.accepted:
        # Paramiko gets only the accepted keys, so that it negotiates a key type that is known.
        line = f"{name} {known.key_type} {base64.b64encode(known.key).decode()}"
        try:
            entry = HostKeyEntry.from_line(line)
        except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
            continue
        if entry is not None:
            keys.add(name, known.key_type, entry.key)
    client.set_missing_host_key_policy(_Policy(target, verdict))
    return client


class _Policy(MissingHostKeyPolicy):
    """Refuses a key that known_hosts does not have; `accept-new` writes a first one down."""

    def __init__(self, target: Target, verdict: Verdict) -> None:
        self._target = target
        self._verdict = verdict

    def missing_host_key(self, client: SSHClient, hostname: str, key: paramiko.PKey) -> None:
        new = not self._verdict.accepted and key.asbytes() not in self._verdict.revoked
        if not (new and self._target.accept_new):
            raise refusal(self._target, self._verdict, key)
        if not self._target.user_known_hosts:
            raise UsageError("StrictHostKeyChecking is accept-new, but there is no UserKnownHostsFile")
        path = self._target.user_known_hosts[0]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        start = "" if _ends_with_a_line(path) else "\n"
        with path.open("a") as file:
            file.write(f"{start}{_line(self._target, key)}\n")


def refusal(target: Target, verdict: Verdict, key: paramiko.PKey) -> HostKeyError:
    """Why a host's key is not accepted, and what makes it accepted, if it is the right one."""
    presented = key.asbytes()
    shown = f"{key.get_name()} {fingerprint(presented)}"
    name = target.known_names[0]
    known = ", ".join(f"{k.key_type} {fingerprint(k.key)}" for k in verdict.accepted)
    if presented in verdict.revoked:
        error = HostKeyError(
            f"{target.title} presents a key that is marked @revoked: {shown}",
            hint=f"the host needs a new host key; the mark is in {_places(target, marker='@revoked')}",
        )
    elif known and verdict.name == name:
        files = _files(target, name)
        removed = " && ".join(f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(f))}" for f in files)
        error = HostKeyError(
            f"the host key of {target.title} has changed: it presents {shown}, "
            f"and {' and '.join(map(str, files))} has {known} for {name}",
            hint="this is what an attack looks like; if the host was really reinstalled, compare the fingerprint with its "
            f"own ({_OWN_FINGERPRINT}), then replace the key: {removed} && {_adding(target, key)}",
        )
    else:
        other = f" but {known} for {verdict.name}, which is another server's" if known else ""
        error = HostKeyError(
            f"the host key of {target.title} is not known; it presents {shown}, "
            f"and no known_hosts file has a key for {name}{other}",
            hint=f"compare that fingerprint with the host's own ({_OWN_FINGERPRINT}), "
            f"then add it: {_adding(target, key)}",
        )
    error.jump = bool(target.jump_of)
    return error


_OWN_FINGERPRINT = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


def _line(target: Target, key: paramiko.PKey) -> str:
    return f"{target.known_names[0]} {key.get_name()} {key.get_base64()}"


def _adding(target: Target, key: paramiko.PKey) -> str:
    """A shell command that writes the key down where `ssh` looks for it.

    It holds the key itself, and not `ssh-keyscan`: that reaches no host behind a jump host, knows no HostKeyAlias, and
    might get another key than the one whose fingerprint was compared.
    """
    files = [f for f in (*target.user_known_hosts, *target.global_known_hosts) if str(f) != os.devnull]
    if not files:
        return "ssh_config names no known_hosts file that keeps anything; set UserKnownHostsFile, then run this again"
    path = shlex.quote(str(files[0]))
    steps = [] if files[0].parent.is_dir() else [f"mkdir -p -m 700 {shlex.quote(str(files[0].parent))}"]
    steps += [] if _ends_with_a_line(files[0]) else [f"echo >> {path}"]
    return " && ".join([*steps, f"echo {shlex.quote(_line(target, key))} >> {path}"])


def _files(target: Target, name: str, marker: str = "") -> list[Path]:
    """The known_hosts files that have lines for a name."""
    return [
        path
        for path in (*target.user_known_hosts, *target.global_known_hosts)
        if any(e.marker == marker and e.matches(name) for e in parse_known_hosts(_text(path)))
    ]


def _places(target: Target, marker: str) -> str:
    found = [path for name in target.known_names for path in _files(target, name, marker)]
    return ", ".join(dict.fromkeys(map(str, found)))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _ends_with_a_line(path: Path) -> bool:
    text = _text(path)
    return not text or text.endswith("\n")
