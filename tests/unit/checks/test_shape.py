import pytest

from deploy_lib.checks.shape import check_shape
from deploy_lib.host.look.facts import Facts
from deploy_lib.values import replace

from .test_host import GOOD, NODE


@pytest.mark.parametrize(
    ("found", "problem", "hint"),
    [
        ("busybox:tail", "tail is BusyBox's", "coreutils"),
        ("lacks:find", "find is not GNU's", "findutils"),
        ("snap:docker", "docker is snap's", "snap remove docker"),
        ("podman:docker", "Podman's imitation", "install Docker Engine"),
        ("logind:KillUserProcesses", "KillUserProcesses", "KillExcludeUsers=root op"),
        ("logind:RemoveIPC", "RemoveIPC", "loginctl enable-linger op"),
    ],
)
def test_a_host_that_only_looks_right_is_refused_by_its_name(found: str, problem: str, hint: str) -> None:
    facts = replace(GOOD, memory="/dev/shm", user="op", tools=GOOD.tools | {found})
    check = check_shape(NODE, facts)
    assert check.result == "failed"
    assert problem in check.problem
    assert hint in check.hint


def test_what_is_removed_from_memory_that_is_not_used_does_not_matter() -> None:
    facts: Facts = replace(GOOD, tools=GOOD.tools | {"logind:RemoveIPC"})
    assert check_shape(NODE, facts).result == "ok"
