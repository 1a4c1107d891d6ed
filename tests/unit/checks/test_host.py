from typing import Any

import pytest

from deploy_lib.checks import Check, check_answered, check_host, require_passed
from deploy_lib.compose.container import Container
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.gather import TOOLS
from deploy_lib.host.look.machine import Machine
from deploy_lib.values import replace
from tests.unit import build

NODE = build.node()
GIB = 1024**3

MACHINE = Machine(
    now=1000.5,
    docker_root="/srv/docker",
    free={"docker": 50 * GIB, "directory": GIB},
    memory=4 * GIB,
    listening=frozenset({Port(22, "tcp", "0.0.0.0"), Port(8000, "tcp", "0.0.0.0")}),
    publishers=(Publisher("web-1", "p", frozenset({Port(8000, "tcp", "0.0.0.0")})),),
)
CONTAINER = Container("1", "web-1", "web", "i", "id", "running", None, 0, 0, "")
GOOD = Facts(
    engine="26.1.5+dfsg1",
    platform="linux/amd64",
    compose="2.26.1-4",
    memory="/run",
    tools=frozenset(TOOLS),
    writable=True,
    services={
        "web": Service("web", "i", ports=(Port(8000), Port(9090))),
        "idle": Service("idle", "i", 0, (Port(22),)),
    },
    containers=(CONTAINER,),
    machine=MACHINE,
    asked=(1000, 1001),
)


def with_machine(**changes: Any) -> Facts:
    return replace(GOOD, machine=replace(MACHINE, **changes))


def test_a_good_host_passes_everything_and_says_what_was_found() -> None:
    checks = {check.name: check for check in check_host(NODE, GOOD, rendered=True)}
    assert {check.result for check in checks.values()} == {"ok"}
    assert all(check.proves for check in checks.values())
    assert checks["Docker Engine"].found == "26.1.5+dfsg1 (at least 25.0)"
    assert checks["Compose plugin"].found == "2.26.1-4 (at least 2.20)"
    require_passed(NODE, checks.values())


@pytest.mark.parametrize(
    ("facts", "name", "problem", "hint"),
    [
        (replace(GOOD, tools=GOOD.tools - {"flock"}), "tools", "lacks flock", "util-linux"),
        (replace(GOOD, engine="", problems={"engine": "permission denied while"}), "permission", "permission denied", "usermod"),
        (replace(GOOD, engine="", problems={"engine": "Cannot connect"}), "Docker Engine", "Cannot connect", "systemctl"),
        (replace(GOOD, engine="20.10.24"), "Docker Engine", "20.10.24; at least 25.0 is needed", "update it to 25.0"),
        (replace(GOOD, compose="2.9.1"), "Compose plugin", "2.9.1; at least 2.20 is needed", "update it to 2.20"),
        (replace(GOOD, compose="", problems={"compose": "no such plugin"}), "Compose plugin", "no such plugin", "install"),
        (replace(GOOD, problems={"containers": "no such thing"}), "facts", "containers: no such thing", "what the host reports"),
        (replace(GOOD, memory=""), "memory-backed space", "tmpfs", "mount a tmpfs"),
        (replace(GOOD, strangers=(("/opt is loose", "chmod go-w /opt"),)), "ownership", "/opt is loose", "chmod go-w /opt"),
        (replace(GOOD, writable=False), "directory", "/opt/shop is not writable", "chown USER /opt/shop"),
        (replace(GOOD, writable=False, missing=True, user="op"), "directory", "does not exist", "mkdir -p /opt/shop && chown op"),
        (replace(GOOD, writable=False, problems={"directory": "Permission denied"}), "directory", "cannot be told", "chown"),
        (
            replace(GOOD, user="op", problems={"key": "stat: '/opt/shop/.deploy/key': Permission denied"}),
            "facts", "/opt/shop/.deploy/key", "as root on the host: chown -R op /opt/shop/.deploy",
        ),
        (with_machine(free={"docker": GIB, "directory": GIB}), "space for images", "/srv/docker has 1024 MiB", "docker image prune"),
        (with_machine(free={"docker": 50 * GIB, "directory": 9}), "space for files", "0 MiB", "free some space"),
        (with_machine(memory=100), "memory", "0 MiB", "give the host more"),
        (with_machine(listening=frozenset({Port(9090, "tcp", "127.0.0.1")})), "ports", "9090, for web, is in use by another program", "ss -lntup"),
        (
            with_machine(publishers=(Publisher("other-1", "", frozenset({Port(8000, "tcp", "::")})),)),
            "ports",
            "8000, for web, is in use by the container other-1",
            "ss -lntup",
        ),
        (replace(GOOD, services={}, problems={"config": "line 3: oops"}), "Compose file", "line 3: oops", "fix deploy/compose.yml"),
    ],
)  # fmt: skip
def test_each_failure_has_a_line_of_its_own_and_its_hint(
    facts: Facts, name: str, problem: str, hint: str
) -> None:
    found = [check for check in check_host(NODE, facts, rendered=True) if check.result == "failed"]
    assert [check.name for check in found] == [name]
    assert problem in found[0].problem
    assert hint in found[0].hint
    with pytest.raises(PreflightError) as caught:
        require_passed(NODE, found)
    assert problem in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(("now", "said"), [(1007.0, "6 s ahead of"), (990.0, "10 s behind")])
def test_a_clock_that_is_off_is_no_reason_not_to_deploy(now: float, said: str) -> None:
    (check,) = (c for c in check_host(NODE, with_machine(now=now), rendered=True) if c.result != "ok")
    assert (check.name, check.result) == ("clock", "warning")
    assert said in check.problem
    assert "NTP" in check.hint


@pytest.mark.parametrize("now", [996.0, 1005.9])
def test_the_clock_may_be_off_by_the_round_trip_and_a_little_more(now: float) -> None:
    assert not [
        check for check in check_host(NODE, with_machine(now=now), rendered=True) if check.result != "ok"
    ]


def test_what_a_host_does_not_say_is_a_warning() -> None:
    found = [
        check
        for check in check_host(NODE, replace(GOOD, machine=Machine()), rendered=True)
        if check.result != "ok"
    ]
    assert {check.name: check.result for check in found} == dict.fromkeys(
        ("space for images", "space for files", "memory", "clock"), "warning"
    )


def test_all_failures_are_named_at_once() -> None:
    checks = [
        Check("a", "", "failed", problem="x", hint="do x"),
        Check("b", "", "warning", problem="w"),
        Check("c", "", "failed", problem="y"),
    ]
    with pytest.raises(PreflightError, match=r"2 checks failed(.|\n)*a: x\n    -> do x\n  c: y"):
        require_passed(NODE, checks)


def test_a_rollback_is_not_kept_from_a_host_by_what_it_does_not_need() -> None:
    poor = replace(
        GOOD, services={}, machine=replace(MACHINE, now=1, memory=1, free={"docker": 1, "directory": 1})
    )
    assert {check.result for check in check_host(NODE, poor, rendered=False)} == {"ok"}
    assert [
        c.name for c in check_host(NODE, replace(poor, engine="1.0"), rendered=False) if c.result != "ok"
    ] == ["Docker Engine"]


def test_secrets_in_memory_are_refused_on_a_host_that_swaps() -> None:
    memory = NODE.model_copy(update={"stack": NODE.stack.model_copy(update={"delivery": "memory"})})
    swaps = with_machine(swap=("/swapfile",))
    for rendered in (True, False):
        assert not [c for c in check_host(NODE, swaps, rendered=rendered) if c.result != "ok"]
        assert not [c for c in check_host(memory, GOOD, rendered=rendered) if c.result != "ok"]
        (check,) = (c for c in check_host(memory, swaps, rendered=rendered) if c.result != "ok")
        assert (check.name, check.result) == ("swap", "failed")
        assert "/swapfile" in check.problem
        assert "swapoff" in check.hint


@pytest.mark.parametrize("part", ["engine", "history", "images", "containers", "objects", "config"])
def test_what_is_not_known_is_not_taken_for_absent(part: str) -> None:
    check = check_answered(NODE, replace(GOOD, problems={part: "broken pipe"}), rendered=True)
    assert (check.result, check.problem) == ("failed", f"{part}: broken pipe")


def test_what_nothing_is_decided_from_may_be_unknown() -> None:
    assert check_answered(NODE, replace(GOOD, problems={"clock": "no date"}), rendered=True).result == "ok"
    assert (
        check_answered(NODE, replace(GOOD, services={}), rendered=True).problem
        == "config: it has no services"
    )
    assert check_answered(NODE, replace(GOOD, services={}), rendered=False).result == "ok"
