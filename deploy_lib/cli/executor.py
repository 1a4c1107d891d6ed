"""`fab -H`: hosts are checked against deploy.toml first, and reached over verified connections only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fabric import Executor
from fabric.tasks import ConnectionCall
from invoke.exceptions import Exit

from deploy_lib.cli.nodes import host_of
from deploy_lib.config import Environment, load
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.output.console import Console
from deploy_lib.ssh.connection import StrictConnection, connect_to


class StrictCall(ConnectionCall):
    """A task's call whose context is a verified connection instead of Fabric's own."""

    def make_context(self, config: Any) -> StrictConnection:
        """The connection that the executor made for this host."""
        connection: StrictConnection = self.init_kwargs["connection"]
        return connection


class HostExecutor(Executor):
    """Fabric's executor, with strict hosts."""

    def expand_calls(self, calls: Any, apply_hosts: bool = True) -> Any:
        """One call for each task and host; nothing runs anywhere unless every host is known."""
        if not apply_hosts:
            return super().expand_calls(calls, apply_hosts)
        try:
            hosts = self._hosts()
            self._environment = load(Path(self.collection.loaded_from))
            for host in hosts:
                self._environment.node_at(host_of(host))
            self._connections: dict[str, StrictConnection] = {}
            return super().expand_calls(calls, apply_hosts)
        except DeployError as error:
            Console().error(error)
            raise Exit(code=int(error.exit_code)) from None

    def parameterize(self, call: Any, connection_init_kwargs: Any) -> Any:
        """The call for one host; tasks of one command share its connection."""
        host = connection_init_kwargs["host"]
        if host not in self._connections:
            self._connections[host] = self._connect(host, self._environment)
        return call.clone(
            into=StrictCall, with_={"init_kwargs": {"host": host, "connection": self._connections[host]}}
        )

    def _hosts(self) -> list[str]:
        given = self.core[0].args.hosts.value
        hosts = [host for host in (given or "").split(",") if host]
        if not hosts:
            raise UsageError("no host was given", mend="fab -H HOST TASK, with a host of deploy.toml")
        return hosts

    def _connect(self, host: str, environment: Environment) -> StrictConnection:
        arguments = self.core[0].args
        ssh_config = (
            Path(arguments["ssh-config"].value) if arguments["ssh-config"].value else environment.ssh_config
        )
        connection = connect_to(host, ssh_config)
        connection.connect_kwargs["key_filename"] += list(arguments["identity"].value or [])
        return connection
