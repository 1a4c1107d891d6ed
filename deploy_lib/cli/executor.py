"""`fab -H`: hosts are checked against deploy.toml first, and reached over verified connections only.

fabric.yaml names it: `tasks: {executor_class: deploy_lib.cli.executor.HostExecutor}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric import Executor
from fabric.tasks import ConnectionCall
from invoke.exceptions import Exit, Failure
from invoke.tasks import Call, Task

from deploy_lib import address
from deploy_lib.cli.collection import ProjectTask
from deploy_lib.cli.flags import JSON
from deploy_lib.cli.invocation import refuse
from deploy_lib.cli.nodes import connection_to
from deploy_lib.config import Environment, load
from deploy_lib.errors import DeployError, ExitCode, UsageError
from deploy_lib.fleet.interruption import signals
from deploy_lib.output.console import Console
from deploy_lib.ssh.connection import StrictConnection


class StrictCall(ConnectionCall):
    """A task's call whose context is a verified connection instead of Fabric's own."""

    def make_context(self, config: Any) -> StrictConnection:
        """The connection that the executor made for this host; with `-R`, what a task runs on it is shown and not run."""
        connection: StrictConnection = self.init_kwargs["connection"]
        if config.run.dry:
            connection.config.run.dry = True
        return connection


class HostExecutor(Executor):
    """Fabric's executor, with strict hosts: each host gets its turn, also after one that failed."""

    def execute(self, *tasks: Any) -> Any:
        """Runs each task on each host; the next task only when the one before has succeeded everywhere.

        Raises:
            Exit: with the worst of the hosts' exit statuses.
        """
        self._exits: list[int] = []
        self._task: Any = None
        results = super().execute(*tasks)
        self._end()
        return results

    def expand_calls(self, calls: Any, apply_hosts: bool = True) -> Any:
        """One call for each task and host; nothing runs anywhere unless every host is known.

        Args:
            apply_hosts: not for what stands in a task's `pre` and `post`.
        """
        if not apply_hosts:
            return [made for call in calls for made in self._beside(call)]
        try:
            if self.core.remainder:
                problem = "what stands behind -- would run as well, and no task knows of it"
                raise UsageError(problem, hint="ssh HOST COMMAND, or a task of your own")
            hosts = self._hosts()
            self._environment = load(self._root(calls))
            for host in hosts:
                self._environment.nodes_at(host)
            self._connections: dict[str, StrictConnection] = {}
            return super().expand_calls(calls, apply_hosts)
        except DeployError as error:
            first = next(iter(calls), None)
            as_json = first is not None and isinstance(first.task, ProjectTask) and first.kwargs.get(JSON.key)
            refuse(error, first.task.name if first else "", as_json=bool(as_json))

    def _beside(self, call: Any) -> list[Any]:
        """What a task has before or after it: Fabric runs it once and without a host, which this project's tasks cannot do without."""
        call = Call(call) if isinstance(call, Task) else call
        made: list[Any] = super().expand_calls([call], isinstance(call.task, ProjectTask))
        for each in made:
            if not isinstance(each.task, _Turn):
                each.task = _Turn(each.task, self)
        return made

    def parameterize(self, call: Any, connection_init_kwargs: Any) -> Any:
        """The call for one host; tasks of one command share its connection."""
        host = connection_init_kwargs["host"]
        if host not in self._connections:
            self._connections[host] = self._connect(host, self._environment)
        if not isinstance(call.task, ProjectTask):
            self._require_one(host)
        made = call.clone(
            into=StrictCall, with_={"init_kwargs": {"host": host, "connection": self._connections[host]}}
        )
        made.task = _Turn(call.task, self)
        return made

    def turn(self, task: Any, *args: Any, **kwargs: Any) -> Any:
        """A task's turn on one host: its failure does not end the turns of the other hosts.

        Raises:
            Exit: the operator pressed Ctrl-C, or another task than this one has failed somewhere.
        """
        if task is not self._task:
            self._end()
        self._task, before = task, signals()
        try:
            with exits():
                return task(*args, **kwargs)
        except Exit as end:
            if end.message:
                Console().say(end.message)
            self._exits.append(end.code)
            if end.code == ExitCode.INTERRUPTED or signals() > before:
                self._end()

    def _end(self) -> None:
        if self._exits:
            known = [ExitCode(code) for code in self._exits if code in set(ExitCode)]
            raise Exit(code=int(ExitCode.worst(known) or self._exits[0]))

    def _root(self, calls: Any) -> Path:
        ours = (call.task.root for call in calls if isinstance(call.task, ProjectTask))
        return next(ours, Path(self.collection.loaded_from))

    def _hosts(self) -> list[str]:
        given = self.core[0].args.hosts.value
        hosts = [host for host in (given or "").split(",") if host]
        if not hosts:
            raise UsageError("no host was given", hint="fab -H HOST TASK, with a host of deploy.toml")
        return hosts

    def _connect(self, host: str, environment: Environment) -> StrictConnection:
        arguments = self.core[0].args
        given = arguments["ssh-config"].value
        # What the command line leaves open, deploy.toml may have; another node of this host may have it otherwise.
        destination = address.completed(host, environment.nodes_at(host)[0].host)
        connection = connection_to(environment, destination, Path(given) if given else None)
        connection.add_keys(*(arguments["identity"].value or []))
        connection.given, connection.destination = host, destination
        return connection

    def _require_one(self, host: str) -> None:
        """Refuses a host for a task of somebody's own, which gets one connection, where its nodes need several."""
        nodes = self._environment.nodes_at(host)
        ways = dict.fromkeys(address.completed(host, node.host) for node in nodes)
        if len(ways) > 1:
            problem = f"{host!r} means several connections: {', '.join(ways)}"
            raise UsageError(problem, hint="name the user as well")


@contextmanager
def exits() -> Iterator[None]:
    """An error of this project, or of a command on a host, that a task of somebody's own lets through is told, with its exit status.

    Raises:
        Exit: with that status.
    """
    try:
        yield
    except DeployError as error:
        Console().error(error)
        raise Exit(code=int(error.exit_code)) from None
    except Failure as failure:
        # Only a command that has run to its end has a status.
        raise Exit(str(failure).strip() or repr(failure), code=failure.result.exited or 1) from None


class _Turn:
    """A task as the executor of several hosts runs it."""

    def __init__(self, task: Any, executor: HostExecutor) -> None:
        self._task = task
        self._executor = executor

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._executor.turn(self._task, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)
