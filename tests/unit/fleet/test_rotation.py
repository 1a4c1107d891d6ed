"""Which nodes a rotation changes, and what keeps it from beginning at all."""

import io
import secrets
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import DeployError, ExitCode, LockedError, PreflightError
from deploy_lib.fleet import rotation
from deploy_lib.fleet.done import Done
from deploy_lib.host.programs.immutable import Immutable
from deploy_lib.host.programs.postgres import PostgresRole
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.request import Request
from deploy_lib.secrets.value import Secret

USED = {"front": ["DB_PASSWORD"], "east": ["DB_PASSWORD", "TOKEN"]}
"""By node, the secrets of its stack."""


class Fleet:
    """Nodes whose hosts run with other values of `changed` than their source has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *changed: str, running: bool = True) -> None:
        self.changed, self.running = changed, running
        self.events: list[str] = []
        self.err = io.StringIO()
        self.refuses: dict[str, DeployError] = {}
        self.values = {name: Secret(secrets.token_hex(12)) for name in ("DB_PASSWORD", "TOKEN")}
        self.nodes = {name: self._node(name) for name in USED}
        self.apply: dict[str, Any] = {}
        monkeypatch.setattr(rotation, "fetch", lambda _, names: {n: self.values[n] for n in names})
        monkeypatch.setattr(rotation, "read_stack", lambda _, node: self._local(node.name))
        monkeypatch.setattr(rotation, "carry_out", self._carry_out)

    def _local(self, name: str) -> Any:
        return SimpleNamespace(mentions=lambda secret: secret in USED[name])

    def _node(self, name: str) -> Deployment:
        def note(what: str) -> Any:
            return lambda *_, **__: self.events.append(f"{what} {name}")

        def look(*_: object) -> None:
            if name in self.refuses:
                raise self.refuses[name]

        node = SimpleNamespace(
            node=SimpleNamespace(name=name, stack_name="shop", task=lambda words: f"invoke {words}"),
            local=self._local(name),
            session=SimpleNamespace(stop=None, close=note("close")),
            console=Console(err=self.err),
            error=None,
            before=object() if self.running else None,
            check_room=lambda *_: None,
            running_secrets=USED[name],
            refresh_facts=look,
            check_back=lambda _: None,
            changed_secrets=lambda _: [s for s in USED[name] if s in self.changed],
            decide_rotation=note("decide"),
            skip=note("skip"),
            lock=note("lock"),
            release_lock=note("unlock"),
        )
        node.fail = lambda error: setattr(node, "error", error)
        return cast(Deployment, node)

    def _carry_out(self, nodes: Any, *_: object, needed_first: bool) -> ExitCode:
        self.events += [f"rotate {node.node.name}" for node in nodes]
        assert needed_first
        return ExitCode.DONE

    def rotate(self, *names: str) -> Done:
        every = {name: node.node for name, node in self.nodes.items()}
        environment = cast(
            Environment,
            SimpleNamespace(
                apply=self.apply,
                nodes=every,
                names_of=lambda name: [name],
                secrets=dict.fromkeys(self.values),
            ),
        )
        chosen = [self.nodes[name] for name in names or USED]
        return rotation.rotate(environment, chosen, Request("rotate-secrets"), Console(err=self.err))


def test_only_nodes_that_run_with_another_value_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "TOKEN")
    done = fleet.rotate()
    assert done.exit is ExitCode.DONE
    assert [e for e in fleet.events if e.startswith(("skip", "lock", "rotate"))] == [
        "skip front",
        "lock east",
        "rotate east",
    ]
    # The second decision is made under the lock, from what the host says then.
    assert fleet.events.index("lock east") < len(fleet.events) - 1 - fleet.events[::-1].index("decide east")
    assert fleet.events[-1] == "unlock east"


def test_nothing_is_locked_where_all_run_with_what_the_source_has(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch)
    assert fleet.rotate().exit is ExitCode.DONE
    assert fleet.events == ["skip front", "skip east"]
    assert "nothing to rotate: DB_PASSWORD, TOKEN run with the values" in fleet.err.getvalue()


def test_a_secret_that_is_not_declared_any_more_keeps_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "DB_PASSWORD")
    del fleet.values["TOKEN"]
    assert fleet.rotate().exit is ExitCode.DONE
    assert "TOKEN: kept as it runs" in fleet.err.getvalue()
    assert [event for event in fleet.events if event.startswith("rotate")] == ["rotate front", "rotate east"]


def test_nothing_is_rotated_where_nothing_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "TOKEN", running=False)
    with pytest.raises(PreflightError, match="nothing is deployed"):
        fleet.rotate()
    assert fleet.events == []


def test_a_host_that_does_not_answer_stops_it_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "TOKEN")
    fleet.refuses["front"] = PreflightError("no answer")
    with pytest.raises(PreflightError):
        fleet.rotate()
    assert fleet.events == []


def postgres() -> PostgresRole:
    return PostgresRole(kind="postgres-role", secret="DB_PASSWORD", service="db", role="DB_USER")


def test_a_secret_that_a_program_keeps_is_rotated_on_all_its_nodes_or_on_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Fleet(monkeypatch, "DB_PASSWORD")
    fleet.apply = {"DB_PASSWORD": postgres()}
    with pytest.raises(PreflightError, match=r"DB_PASSWORD is also used on east(?s:.*)without --node"):
        fleet.rotate("front")
    assert fleet.events == []
    assert fleet.rotate().exit is ExitCode.DONE


def test_a_value_that_its_program_cannot_take_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "DB_PASSWORD")
    monkeypatch.setattr(PostgresRole, "unfit", lambda self, value: f"{self.secret} is too long")
    fleet.apply = {"DB_PASSWORD": postgres()}
    with pytest.raises(PreflightError, match=r"DB_PASSWORD is too long\n.*choose another value"):
        fleet.rotate()
    assert fleet.events == []


def test_a_secret_that_never_changes_is_to_be_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "TOKEN")
    fleet.apply = {"TOKEN": Immutable(kind="immutable", secret="TOKEN", service="web")}
    with pytest.raises(PreflightError, match="set it back at its source"):
        fleet.rotate()
    assert fleet.events == []


def test_a_lock_that_somebody_else_holds_leaves_all_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, "DB_PASSWORD")

    def held() -> None:
        raise LockedError("somebody else deploys")

    cast(Any, fleet.nodes["east"]).lock = held
    with pytest.raises(LockedError):
        fleet.rotate()
    assert not [event for event in fleet.events if event.startswith("rotate")]
    assert "unlock front" in fleet.events
