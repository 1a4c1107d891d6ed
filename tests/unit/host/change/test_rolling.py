"""A service is replaced beside itself, by the functions of the switch, with a `docker` that does as Compose does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.host.change import gate, rolling
from deploy_lib.host.change.rolling import Roll
from deploy_lib.host.change.step import shown_of
from deploy_lib.host.gateways.haproxy import HAProxy
from deploy_lib.shell import PATIENT
from tests.unit import build
from tests.unit.host.rolled import Rolled

SHELLS = [["sh"], ["bash"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]
STACK = build.stack(healthy_timeout=3)


def functions(count: int = 1, *, unproven: bool = False, stack: Any = STACK, **table: Any) -> str:
    gateway = HAProxy(service="web", **{"drain_timeout": 2, **table})
    return rolling.functions(stack, stack.project, [Roll(gateway, count, unproven)])


@pytest.fixture
def host(tmp_path: Path) -> Rolled:
    return Rolled(tmp_path)


def order(host: Rolled, *words: str) -> list[str]:
    """The calls that have any of these words, by the first that they have, in their order."""
    return [word for call in host.calls if (word := next((w for w in words if w in call), ""))]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_new_one_gets_requests_before_the_old_one_goes(host: Rolled, shell: list[str]) -> None:
    host.want("h2")
    host.tell("busy/10.0.0.1", "3\n")
    done = host.run(functions(), "roll_0 && settle_0", shell)
    assert done.returncode == 0, done.stdout
    assert "web: 1 of 1 new containers are healthy, and get requests" in done.stdout
    assert host.containers() == {"c11": ("h2", "running")}
    assert host.told() == {"10.0.0.1": "maint", "10.0.0.11": "maint"}
    assert (host.folder / "busy/10.0.0.1").read_text() == "0\n"
    assert order(host, "--no-start", "--no-deps", "stop c1", "rm c1") == [
        "--no-start",
        "--no-deps",
        "stop c1",
        "rm c1",
    ]
    started = next(call for call in host.calls if "--no-deps" in call)
    assert "--scale web=2" in started


def test_what_is_as_it_is_to_be_is_left_alone(host: Rolled) -> None:
    done = host.run(functions(), "roll_0 && settle_0")
    assert (done.returncode, done.stdout) == (0, "")
    assert not order(host, " up ", "stop c", "rm c")


def test_nothing_is_rolled_where_nothing_runs(host: Rolled) -> None:
    host.want("h2")
    host.container("c1", "web", "exited", "h1", "10.0.0.1")
    assert host.run(functions(), "roll_0").returncode == 0
    assert not order(host, " up ", "stop c", "rm c", "config --hash")


def test_one_takes_the_place_of_one_after_the_other(tmp_path: Path) -> None:
    host = Rolled(tmp_path, 3)
    host.want("h2")
    assert host.run(functions(3), "roll_0").returncode == 0
    assert sorted(host.containers().values()) == [("h2", "running")] * 3
    assert order(host, "--no-deps", "stop c") == ["--no-deps", "stop c"] * 3
    assert len(host.sends_to()) == 3


def test_all_come_at_once_where_the_table_says_so(tmp_path: Path) -> None:
    host = Rolled(tmp_path, 3)
    host.want("h2")
    assert host.run(functions(3, at_once=True), "roll_0").returncode == 0
    assert sorted(host.containers().values()) == [("h2", "running")] * 3
    assert order(host, "--no-deps", "stop c") == ["--no-deps", "stop c", "stop c", "stop c"]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 2)])
def test_more_or_fewer_replicas_are_rolled_to_as_well(tmp_path: Path, before: int, after: int) -> None:
    host = Rolled(tmp_path, before)
    host.want("h2")
    assert host.run(functions(after), "roll_0 && settle_0").returncode == 0
    assert sorted(host.containers().values()) == [("h2", "running")] * after
    assert set(host.told().values()) == {"maint"}


def test_those_that_are_too_many_go_drained(tmp_path: Path) -> None:
    host = Rolled(tmp_path, 3)
    host.tell("busy/10.0.0.3", "2\n")
    assert host.run(functions(2), "roll_0").returncode == 0
    assert host.containers() == {"c1": ("h1", "running"), "c2": ("h1", "running")}
    assert (host.folder / "busy/10.0.0.3").read_text() == "0\n"


@pytest.mark.parametrize(
    ("health", "restarts", "said"),
    [
        ("unhealthy", "0", "its health check fails"),
        ("starting", "0", "it is starting"),
        ("starting", "1", "it keeps crashing: 2 restarts, last exit status 7"),
    ],
)
def test_one_that_does_not_get_healthy_gets_no_request(
    host: Rolled, health: str, restarts: str, said: str
) -> None:
    host.want("h2")
    host.tell("health/h2", health)
    host.tell("restarts/h2", restarts)
    done = host.run(functions(), "roll_0")
    assert done.returncode == 1
    assert f"the new container of web is not healthy: {said}" in done.stdout
    assert "=== ill web c11" in done.stdout
    assert host.sends_to() == ["10.0.0.1"]
    assert set(host.containers()) == {"c1", "c11"}
    # Going back, it is the one that is too many.
    host.want("h1")
    assert host.run(functions(), "roll_0 && settle_0").returncode == 0
    assert host.containers() == {"c1": ("h1", "running")}
    assert "10.0.0.11" not in host.told()


@pytest.mark.parametrize("state", ["created", "exited", "restarting"])
def test_one_that_does_not_run_goes_whatever_has_become_of_it(host: Rolled, state: str) -> None:
    """Such as that of a release that keeps crashing, when its host goes back."""
    host.container("c11", "web", state, "h2", "10.0.0.11", "unhealthy")
    done = host.run(functions(), "roll_0 && settle_0")
    assert done.returncode == 0, done.stdout
    assert "looked at again" not in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}
    assert "stop c1" not in host.calls


def test_one_without_a_check_has_to_run_for_a_while(host: Rolled) -> None:
    host.want("h2")
    host.tell("health/h2", "none")
    # On a loaded machine, that takes longer than what must not be waited for elsewhere here.
    patient = build.stack(healthy_timeout=60)
    assert host.run(functions(stack=patient), "roll_0").returncode == 0
    assert host.containers() == {"c11": ("h2", "running")}
    host.want("h3")
    host.tell("health/h3", "unhealthy")
    assert host.run(functions(unproven=True, stack=patient), "roll_0").returncode == 0
    assert host.containers() == {"c12": ("h3", "running")}


def test_what_was_wrong_earlier_does_not_count_once_it_is_well(host: Rolled) -> None:
    done = host.run(
        functions(), "seen=' a/5 ab/6 a-0/7'; forget a; echo $seen; since a; [ $echo_since -lt 5 ]"
    )
    assert (done.returncode, done.stdout) == (0, "ab/6 a-0/7\n")


@pytest.mark.parametrize(("asks", "limit"), [("1800\n", "2400"), ("<nil>\n", "600")])
def test_an_old_one_may_take_as_long_to_stop_as_it_has_asked_for(host: Rolled, asks: str, limit: str) -> None:
    host.tell("grace", asks)
    timeout = 'timeout() { shift 2; echo "$@" >>"$FAKE/limits"; shift; command "$@"; }'
    assert host.run(f"{functions()}\n{PATIENT}\n{timeout}", "away c1").returncode == 0
    assert f"{limit} docker stop c1" in (host.folder / "limits").read_text().splitlines()


def test_one_that_the_gateway_itself_refuses_is_not_relied_upon(
    host: Rolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "TOLD", 1)
    host.want("h2")
    host.tell("refuses/10.0.0.11")
    done = host.run(functions(), "roll_0")
    assert done.returncode == 1
    assert (
        "gateway, the gateway of web, does not do what it is told: its own check of 10.0.0.11 fails"
        in done.stdout
    )
    assert "c1" in host.containers()


def test_what_answers_for_too_long_is_stopped_all_the_same(host: Rolled) -> None:
    host.want("h2")
    host.tell("busy/10.0.0.1", "100000\n")
    done = host.run(functions(drain_timeout=1), "roll_0")
    assert done.returncode == 0
    assert "an old container of web is stopped although it has not answered all after 1 s" in done.stdout
    assert set(host.containers()) == {"c11"}


def refuses(call: str, when: str = "true") -> str:
    """A `docker` that refuses a call once, while something holds."""
    refused = f'if {when} && mkdir "$FAKE/once" 2>/dev/null; then return 1; fi'
    return f'docker() {{ case "$*" in {call}) {refused};; esac; command docker "$@"; }}\n'


TOLD_OF_IT = 'grep -q " 10.0.0.11 " "$FAKE/slots"'
DRAINS = '[ "$(cat "$FAKE/busy/10.0.0.1")" = 1 ]'


@pytest.mark.parametrize(
    ("call", "when"),
    [("*status=running*=gateway*", DRAINS), ("*Networks*e1?c1", TOLD_OF_IT)],
    ids=["whether the gateway runs", "where it reaches the old one"],
)
def test_what_answers_is_drained_although_the_engine_refuses_once(host: Rolled, call: str, when: str) -> None:
    host.want("h2")
    host.tell("busy/10.0.0.1", "3\n")
    done = host.run(functions(drain_timeout=20), f"{refuses(call, when)}roll_0")
    assert done.returncode == 0, done.stdout
    assert set(host.containers()) == {"c11"}
    assert (host.folder / "busy/10.0.0.1").read_text() == "0\n"


def test_a_new_one_of_which_docker_does_not_say_where_it_is_is_not_relied_upon(
    host: Rolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "TOLD", 1)
    host.want("h2")
    host.tell("refuses/10.0.0.11")
    assert host.run(functions(), f"{refuses('*Networks*', TOLD_OF_IT)}roll_0").returncode == 1
    assert "c1" in host.containers()


def test_a_gateway_that_the_engine_does_not_list_may_be_there(host: Rolled) -> None:
    """Here it was stopped, and is started while that is asked."""
    host.want("h2")
    host.container("e1", "gateway", "exited", "g1", "10.0.0.9")
    comes = 'sed -i s/exited/running/ "$FAKE/c/e1"'
    done = host.run(functions(), f"{refuses('*-a*=gateway*', comes)}roll_0")
    assert done.returncode == 0, done.stdout
    assert "does not run" not in done.stdout
    assert host.containers() == {"c11": ("h2", "running")}


@pytest.mark.parametrize(
    "refusing",
    [refuses("*=gateway*"), refuses("*exec*").replace("docker", "timeout")],
    ids=["the engine", "the gateway"],
)
def test_the_gateway_goes_by_what_it_finds_although_it_is_refused_once(host: Rolled, refusing: str) -> None:
    host.want("h2")
    assert host.run(functions(), "roll_0").returncode == 0
    assert host.sends_to() == ["10.0.0.11"]
    done = host.run(functions(), f"{refusing}settle_0")
    assert (done.returncode, done.stdout) == (0, "")
    assert set(host.told().values()) == {"maint"}


def test_what_it_needs_and_is_not_listed_for_once_is_not_started_again(host: Rolled) -> None:
    host.want("h2")
    host.container("d1", "db", "exited", "d1", "10.0.0.8")
    assert host.run(functions(), f"{refuses('*=db*')}roll_0").returncode == 0
    assert host.containers() == {"c11": ("h2", "running")}
    assert host.containers("db") == {"d1": ("d1", "exited")}


def test_without_a_gateway_that_runs_compose_does_it(host: Rolled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "TOLD", 1)
    host.want("h2")
    host.container("e1", "gateway", "exited", "g1", "10.0.0.9")
    done = host.run(functions(), "roll_0 && settle_0")
    assert done.returncode == 0
    assert "gateway, the gateway of web, does not run: web is replaced at once" in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}


@pytest.mark.parametrize("words", ["--no-start", "--no-deps"])
def test_compose_that_takes_too_long_is_not_asked_again_and_called_that(host: Rolled, words: str) -> None:
    host.want("h2")
    hangs = f'compose_up() {{ case "$*" in *{words}*) return 124;; esac; docker compose up -d "$@"; }}'
    done = host.run(functions(), f"{hangs}\nroll_0")
    assert (done.returncode, "looked at again" in done.stdout) == (124, False)
    assert ("h1", "running") in host.containers().values()


def test_one_that_was_never_made_is_not_waited_for(host: Rolled) -> None:
    """As where the release in place is from before it."""
    host.want("h2")
    (host.folder / "c/e1").unlink()
    done = host.run(functions(), "roll_0 && settle_0")
    assert done.returncode == 0
    assert "does not run: web is replaced at once" in done.stdout
    assert len(host.calls) < 12


def test_a_gateway_that_runs_and_cannot_be_told_fails_the_switch(
    host: Rolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "TOLD", 1)
    host.want("h2")
    host.tell("backends", "found\n")
    done = host.run(functions(), "roll_0")
    assert done.returncode == 1
    assert "its configuration has no backend rolling" in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}


def test_going_back_without_it_does_not_stop_what_answers(
    host: Rolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two that are there, Compose might choose the right one to be replaced."""
    monkeypatch.setattr(gate, "TOLD", 1)
    host.tell("backends", "found\n")
    host.container("c11", "web", "restarting", "h2", "10.0.0.11", "unhealthy")
    back = rolling.back([Roll(HAProxy(service="web"))])
    done = host.run(functions(), back)
    assert done.returncode == 0
    assert "web is taken back at once" in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}
    # Where it takes one more, that is Compose's to make.
    host.container("c11", "web", "running", "h2", "10.0.0.11")
    host.run(functions(2), rolling.back([Roll(HAProxy(service="web"), 2)]))
    assert host.containers() == {"c1": ("h1", "running"), "c11": ("h2", "running")}


def test_an_earlier_release_with_a_port_of_its_own_is_left_to_compose(host: Rolled) -> None:
    host.want("h2")
    host.tell("port", "8000\n")
    done = host.run(functions(), "roll_0")
    assert done.returncode == 0
    assert "there cannot be two containers of web: it is replaced at once" in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}


def test_one_that_docker_does_not_describe_at_once_may_have_a_port_of_its_own(host: Rolled) -> None:
    host.want("h2")
    host.tell("port", "8000\n")
    done = host.run(functions(), f"{refuses('*PortBindings*')}roll_0")
    assert "there cannot be two containers of web: it is replaced at once" in done.stdout
    assert host.containers() == {"c1": ("h1", "running")}


def test_so_is_one_of_which_compose_makes_no_second_container(host: Rolled) -> None:
    host.want("h2")
    done = host.run(functions(), "up() { false; }; roll_0")
    assert done.returncode == 0
    assert "there cannot be two containers of web: it is replaced at once" in done.stdout
    assert done.stdout.count("is looked at again") == 2


def test_what_it_needs_and_has_never_run_is_started_with_it(host: Rolled) -> None:
    host.want("h2")
    host.container("d1", "db", "created", "d1", "10.0.0.8")
    assert host.run(functions(), "roll_0").returncode == 0
    started = next(call for call in host.calls if "--no-deps" in call)
    assert started.endswith("--scale web=2 db web")
    host.want("h3")
    host.container("d1", "db", "exited", "d1", "10.0.0.8")
    assert host.run(functions(), "roll_0").returncode == 0
    started = next(call for call in host.calls if "--no-deps" in call)
    assert started.endswith("--scale web=2 web")


def calls_of(folder: Path) -> int:
    folder.mkdir()
    host = Rolled(folder)
    host.want("h2")
    assert host.run(functions(), "roll_0 && settle_0").returncode == 0
    return len(host.calls)


def ends(folder: Path, want: str, at: int, *, killed: bool) -> None:
    """Something happens at a call; then one plain run brings the host to a release, and the gateway to that."""
    folder.mkdir()
    host = Rolled(folder)
    host.want("h2")
    if killed:
        host.run(functions(), "roll_0 && settle_0", KILL_AT=str(at))
    else:
        host.tell("refuse", f"{at}\n")
        host.run(functions(), "roll_0 && settle_0")
        host.tell("refuse")
    # There is always one that gets requests.
    running = {f"10.0.0.{name[1:]}" for name, (_, state) in host.containers().items() if state == "running"}
    assert running
    assert not host.sends_to() or running & {*host.sends_to()}, at
    host.want(want)
    done = host.run(functions(), "roll_0 && settle_0")
    assert done.returncode == 0, (at, done.stdout)
    assert [*host.containers().values()] == [(want, "running")], at
    assert set(host.told().values()) <= {"maint"}, at


@pytest.mark.parametrize("want", ["h1", "h2"])
def test_killed_anywhere_it_goes_on_from_there_in_either_direction(tmp_path: Path, want: str) -> None:
    calls = calls_of(tmp_path / "whole")
    for at in range(2 if want == "h1" else 7, calls, 10):
        ends(tmp_path / f"{at}", want, at, killed=True)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("want", ["h1", "h2"])
@pytest.mark.parametrize("killed", [True, False])
def test_whatever_happens_at_whichever_call(tmp_path: Path, want: str, killed: bool) -> None:
    for at in range(1, calls_of(tmp_path / "whole")):
        ends(tmp_path / f"{at}", want, at, killed=killed)


def test_a_dry_run_shows_what_it_comes_to() -> None:
    shown = shown_of(rolling.forward_steps(STACK.project, [Roll(HAProxy(service="web"), 2)], "S=*** "))
    assert shown[0].startswith("S=*** docker compose ")
    assert "--no-start --no-recreate --scale web=3 web" in shown[0]
    assert "--no-deps --no-recreate --scale web=3 web" in shown[1]
    assert shown[2:] == ["docker stop OLD_WEB", "docker rm OLD_WEB"]


def test_without_rolling_services_the_switch_has_not_a_word_of_it() -> None:
    assert rolling.functions(STACK, STACK.project, []) == ""
    assert rolling.forward_steps(STACK.project, [], "") == rolling.settled([]) == []
    assert rolling.back([]) == rolling.settled_back([]) == ""
    assert rolling.longest(STACK, []) == 0
