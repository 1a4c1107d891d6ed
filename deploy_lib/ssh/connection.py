"""Fabric's Connection with what it lacks: verified host keys, and an environment that is never on a command line."""

from __future__ import annotations

import base64
import logging
import os
import socket
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from fabric.runners import Remote
from paramiko.client import MissingHostKeyPolicy, SSHClient
from paramiko.hostkeys import HostKeyEntry

from deploy_lib.errors import UnreachableError, UsageError
from deploy_lib.secrets.value import MASK
from deploy_lib.ssh.framing import frame
from deploy_lib.ssh.hostkeys import KnownHost, Verdict, fingerprint, judge, parse_known_hosts
from deploy_lib.ssh.target import Target, resolve

# Without a handler Paramiko's errors are written to standard error by `logging` itself, among the progress. Each is
# raised as well, and told in this program's words where it matters. A log that somebody asked for still gets them; not on
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
        line, block = frame(command, env)
        self.channel.exec_command(line)
        self.channel.sendall(block)
        self.channel.shutdown_write()

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
        """Connects, unless connected; the agent named in ssh_config is used when there is one."""
        agent = self.target.identity_agent
        if agent and agent != "SSH_AUTH_SOCK":
            os.environ["SSH_AUTH_SOCK"] = str(Path(agent).expanduser())
        return super().open()

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
    entries: list[KnownHost] = []
    for path in (*target.user_known_hosts, *target.global_known_hosts):
        try:
            entries += parse_known_hosts(path.read_text(errors="replace"))
        except OSError:
            continue
    return judge(entries, target.hostname, target.port, target.host_key_alias)


def _gateway(target: Target, ssh_config: Path | None) -> StrictConnection | str | None:
    if not target.jump:
        return target.proxy_command
    gateway: StrictConnection | None = None
    for hop in target.jump:
        connection = connect_to(hop, ssh_config)
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
        # Only keys that count are given to Paramiko, so that a known key type is negotiated.
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
        presented = key.asbytes()
        shown = f"{key.get_name()} {fingerprint(presented)}"
        if presented in self._verdict.revoked:
            raise HostKeyError(f"{self._target.name} presents a key that is marked @revoked: {shown}")
        if self._verdict.accepted:
            known = ", ".join(f"{k.key_type} {fingerprint(k.key)}" for k in self._verdict.accepted)
            raise changed(self._target, shown, known)
        if self._target.accept_new:
            self._remember(key)
            return
        raise HostKeyError(
            f"the host key of {self._target.name} is not known; it presents {shown}, and no known_hosts file has any",
            mend="compare that fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
            f"then add it: {_keyscan(self._target)}",
        )

    def _remember(self, key: paramiko.PKey) -> None:
        target = self._target
        if not target.user_known_hosts:
            raise UsageError("StrictHostKeyChecking is accept-new, but there is no UserKnownHostsFile")
        path = target.user_known_hosts[0]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{_known_name(target)} {key.get_name()} {key.get_base64()}\n")


def changed(target: Target, presented: str, known: str) -> HostKeyError:
    """The error for a key that differs from the known one."""
    name = _known_name(target)
    return HostKeyError(
        f"the host key of {target.name} has changed: it presents {presented}, known_hosts has {known}",
        mend="this is what an attack looks like; if the host was really reinstalled, remove the old key "
        f"(ssh-keygen -R '{name}') and add the new one: {_keyscan(target)}",
    )


def _known_name(target: Target) -> str:
    if target.host_key_alias:
        return target.host_key_alias
    return target.hostname if target.port == 22 else f"[{target.hostname}]:{target.port}"


def _keyscan(target: Target) -> str:
    port = "" if target.port == 22 else f"-p {target.port} "
    file = target.user_known_hosts[0] if target.user_known_hosts else "~/.ssh/known_hosts"
    return f"ssh-keyscan {port}{target.hostname} >> {file}"
