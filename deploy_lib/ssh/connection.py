"""Fabric's Connection, with verified host keys, and with an environment that is never on a command line."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from fabric.runners import Remote

from deploy_lib.errors import DeployError, RemoteError, StoppedError, UsageError
from deploy_lib.secrets.value import MASK
from deploy_lib.ssh.client import CHANNEL_TIMEOUT, CONNECT_TIMEOUT, StrictClient
from deploy_lib.ssh.doors import PAUSES, DroppedError, entered
from deploy_lib.ssh.framing import Preamble, frame
from deploy_lib.ssh.refusals import HostKeyError, LoginError, ProxyError, explain
from deploy_lib.ssh.resolve import resolve
from deploy_lib.ssh.shared import listens, share
from deploy_lib.ssh.shared_channel import SharedChannel
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.transport import StrictChannel
from deploy_lib.ssh.ways import Proxy, dial, nothing_answered
from deploy_lib.values import replace

# Without a handler Paramiko's errors are written to standard error by `logging` itself, among the progress. Each is
# raised as well, and reported in this program's words. A log that somebody asked for still gets them; not on
# "paramiko" itself, because `paramiko.util.log_to_file` does nothing when there is a handler.
logging.getLogger("paramiko.transport").addHandler(logging.NullHandler())

_MOST_JUMPS = 16
"""Jump hosts that may each have one of their own; more are a circle."""


class SafeRemote(Remote):
    """Runs a command with its environment on standard input, so that no process list shows a value."""

    def start(self, command: str, shell: str, env: dict[str, str], timeout: float | None = None) -> None:
        """Starts `command` on a channel of its own; its standard input is at its end afterwards.

        Raises:
            RemoteError: the host does not answer.
        """
        self._preamble = Preamble()
        self._errors = self._preamble.twin()
        line, block = frame(command, env, self._preamble)
        try:
            self.channel = self.context.create_session()
            self.channel.exec_command(line)
        except TimeoutError as error:
            raise RemoteError(f"no command could be started: {error}", node=self.context.host) from None
        self.channel.sendall(block)
        self.channel.shutdown_write()

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        """The command's own output; what the login shell has printed before it is no part of that."""
        while chunk := super().read_proc_stdout(num_bytes):
            if own := self._preamble.strip(chunk):
                return own
        return self._preamble.rest()

    def read_proc_stderr(self, num_bytes: int) -> bytes:
        """The same of standard error."""
        while chunk := super().read_proc_stderr(num_bytes):
            if own := self._errors.strip(chunk):
                return own
        return self._errors.rest()

    def generate_result(self, **kwargs: Any) -> Any:
        """The result, whose `env` names the variables without their values: results are shown, logged and pickled."""
        return super().generate_result(**{**kwargs, "env": dict.fromkeys(kwargs["env"], MASK)})


class StrictConnection(Connection):
    """A Fabric connection to a resolved `Target`; its jump hosts are verified too."""

    target: Target
    ssh_config_file: Path | None
    batch: bool
    # Fabric's own declares all others; what is not declared becomes a change of the configuration, which is merged anew.
    inline_ssh_env: bool | None = None

    def __init__(
        self, target: Target, ssh_config: Path | None = None, gateway: StrictConnection | None = None
    ) -> None:
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
            gateway=gateway,
        )
        self._set(target=target, ssh_config_file=ssh_config, proxy=None, batch=False)
        self.client = StrictClient(target)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; Invoke's own lists all that the object has, each time, to tell one from a name of its configuration."""
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def add_keys(self, *files: str | Path) -> None:
        """Private key files that come before those of ssh_config, as those of `ssh -i` do."""
        self.client.further += tuple(Path(file).expanduser() for file in files)

    def twin(self, *, batch: bool = False) -> StrictConnection:
        """Another connection to the same host, not yet open, with the same keys.

        Args:
            batch: nothing may be asked for it, nor for its jump hosts.
        """
        twin = _connection(self.target, self.ssh_config_file)
        twin.add_keys(*self.client.further)
        way: object = twin
        while batch and isinstance(way, StrictConnection):
            way._set(batch=True)
            way = way.gateway
        return twin

    def get_gateway(self) -> None:
        """No gateway but the one given: Fabric's own would accept any host key."""

    def open(self) -> None:
        """Connects, unless connected.

        Raises:
            UnreachableError: which says whether this host failed or a jump host, and at which stage.
        """
        if self.is_connected:
            return
        # `ssh` would share a session that is open already, and ask nothing.
        shared = self.target.shared if listens(self.target.shared) else None
        try:
            self._open_own(batch=self.batch or shared is not None)
        except (HostKeyError, StoppedError):
            raise
        except DeployError:
            self.abandon()
            if shared is None:
                raise
            if not self._share(shared):
                self._open_own(batch=self.batch)

    def _open_own(self, *, batch: bool) -> None:
        """Connects and logs in by itself.

        Args:
            batch: nothing may be asked.
        """
        way: Any = None
        # With another way there, this machine's connections do not come together at the host's address.
        direct = not isinstance(self.gateway, StrictConnection) and not self.target.proxy_command
        try:
            with entered(self.target) if direct else contextlib.nullcontext():
                for pause in (*PAUSES, None):
                    way = None
                    way = self._way()
                    try:
                        # A twin that asks nothing is for what has to be found out after Ctrl-C, too.
                        self.transport: Any = self.client.connect(sock=way, batch=batch, heeds=not self.batch)
                        break
                    except DroppedError:
                        if pause is None or self.proxy is not None:
                            raise
                        self.client.close()
                        time.sleep(pause)
        except DeployError:
            raise  # the jump host's own
        except Exception as error:  # noqa: BLE001 - Paramiko lets nearly anything through
            why = self.proxy.problem() if self.proxy is not None and not isinstance(error, LoginError) else ""
            problem = explain(self.target, ProxyError(why) if why else error)
            problem.off = way is None and nothing_answered(error)
            raise problem from None

    def _share(self, path: str) -> bool:
        """Takes the session that the operator has opened; says whether that can be used."""
        session = share(path, CHANNEL_TIMEOUT, leads_on=bool(self.target.jump_of))
        if session is not None:
            self.client.take(session)
            self.transport = session
        return session is not None

    def create_session(self) -> StrictChannel | SharedChannel:
        """A channel for a command; connects first, unless connected."""
        created: StrictChannel | SharedChannel = super().create_session()
        return created

    def close(self) -> None:
        """Ends the connection, and what led to it."""
        super().close()
        self._end_way()

    def abandon(self) -> None:
        """Closes what a failed `open` leaves: Paramiko keeps the connection to a host whose key was refused."""
        self.client.close()
        self._end_way()

    def _way(self) -> Any:
        """A socket, or a channel of the jump host, that leads to the host."""
        timeout = self.target.timeout or CONNECT_TIMEOUT
        if isinstance(self.gateway, StrictConnection):
            self.gateway.open()
            place = (self.target.hostname, self.target.port)
            transport: paramiko.Transport = self.gateway.transport
            try:
                return transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=timeout)
            except TimeoutError:
                raise TimeoutError(f"nothing answered within {timeout:g} s") from None
        if self.target.proxy_command:
            self._set(proxy=Proxy(self.target))
            return self.proxy.socket
        return dial(self.target, timeout)

    def _end_way(self) -> None:
        if self.proxy is not None:
            self.proxy.end()
            self._set(proxy=None)
        if isinstance(self.gateway, StrictConnection):
            self.gateway.abandon()


def connect_to(destination: str, ssh_config: Path | None = None) -> StrictConnection:
    """A connection, not yet open, to `[user@]host[:port]` as ssh_config understands it.

    Raises:
        UsageError: ssh_config cannot be read, or leads in a circle.
    """
    return _connection(resolve(destination, ssh_config), ssh_config)


def _connection(target: Target, ssh_config: Path | None, via: tuple[str, ...] = ()) -> StrictConnection:
    """The connection with its jump hosts: each leads to the next, and the first may have jump hosts of its own."""
    gateway: StrictConnection | None = None
    for number, hop in enumerate(target.jump):
        # Tokens in ProxyJump can make a longer name at each turn.
        if hop in via or len(via) == _MOST_JUMPS:
            raise UsageError(
                f"ssh_config: ProxyJump leads in a circle, by way of {hop}",
                hint=f"ProxyJump none for {hop}, before the lines that set it for all",
            )
        found = replace(resolve(hop, ssh_config), jump_of=target.name)
        if number:
            # As with `ssh`, the hops before it are its way, and not what ssh_config has for it.
            found = replace(found, jump=(target.jump[number - 1],), proxy_command=None)
            gateway = StrictConnection(found, ssh_config, gateway)
        else:
            gateway = _connection(found, ssh_config, (*via, hop))
    return StrictConnection(target, ssh_config, gateway)
