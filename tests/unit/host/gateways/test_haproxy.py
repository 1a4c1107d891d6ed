"""What HAProxy is told, with a runtime socket that answers as the real one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy_lib.host.gateways.haproxy import HAProxy
from tests.unit.host.rolled import Rolled

FUNCTIONS = f'told() {{ docker exec -i gate "$@"; }}\n{HAProxy(service="web").functions}'


@pytest.fixture
def host(tmp_path: Path) -> Rolled:
    return Rolled(tmp_path)


def test_it_is_told_nothing_where_it_lacks_what_is_needed_later(host: Rolled) -> None:
    host.tell("backends", "rolling\nother\n")
    done = host.run(FUNCTIONS, "gate_sends 10.0.0.1")
    assert (done.returncode, done.stdout) == (1, "its configuration has no backend found\n")


def test_what_is_new_gets_a_free_place_and_what_is_not_named_is_drained(host: Rolled) -> None:
    assert host.run(FUNCTIONS, "gate_sends 10.0.0.1").returncode == 0
    assert host.run(FUNCTIONS, "gate_sends 10.0.0.2 10.0.0.1 && gate_takes 10.0.0.1 10.0.0.2").returncode == 0
    assert host.sends_to() == ["10.0.0.1", "10.0.0.2"]
    assert host.run(FUNCTIONS, "gate_sends 10.0.0.2").returncode == 0
    assert host.told() == {"10.0.0.1": "drain", "10.0.0.2": "ready"}
    # One that was drained comes back to its own place.
    assert host.run(FUNCTIONS, "gate_sends 10.0.0.1").returncode == 0
    assert host.told() == {"10.0.0.1": "ready", "10.0.0.2": "drain"}


def test_an_address_has_one_place(host: Rolled) -> None:
    host.tell("slots", "rolling r1 10.0.0.1 2 4\nrolling r2 10.0.0.1 2 4\nrolling r3 127.0.0.1 0 5\n")
    assert host.run(FUNCTIONS, "gate_sends 10.0.0.1 10.0.0.1").returncode == 0
    assert host.sends_to() == ["10.0.0.1"]


def test_a_backend_without_a_free_place_is_said(host: Rolled) -> None:
    host.tell("slots", "rolling r1 10.0.0.7 2 4\n")
    done = host.run(FUNCTIONS, "gate_sends 10.0.0.1")
    assert (done.returncode, done.stdout) == (1, "its backend rolling has no free server\n")


def test_a_container_that_its_own_check_refuses_is_said(host: Rolled) -> None:
    host.tell("refuses/10.0.0.1")
    done = host.run(FUNCTIONS, "gate_sends 10.0.0.1 && gate_takes 10.0.0.1")
    assert (done.returncode, done.stdout) == (1, "its own check of 10.0.0.1 fails\n")


def test_quiet_is_who_answers_nothing_in_either_backend(host: Rolled) -> None:
    assert host.run(FUNCTIONS, "gate_quiet 10.0.0.1").returncode == 0
    host.tell("busy/10.0.0.1", "1\n")
    assert host.run(FUNCTIONS, "gate_quiet 10.0.0.1").returncode == 1
    assert host.run(FUNCTIONS, "gate_quiet 10.0.0.1").returncode == 0


def test_what_it_finds_by_itself_is_all_of_it_and_no_more(host: Rolled) -> None:
    assert host.run(FUNCTIONS, "gate_finds 10.0.0.1").returncode == 0
    assert host.run(FUNCTIONS, "gate_finds 10.0.0.2").returncode == 1
    assert host.run(FUNCTIONS, "gate_finds 10.0.0.1 10.0.0.2").returncode == 1
    host.container("c2", "web", "running", "h1", "10.0.0.2")
    assert host.run(FUNCTIONS, "gate_finds 10.0.0.1").returncode == 1
    assert host.run(FUNCTIONS, "gate_finds 10.0.0.2 10.0.0.1").returncode == 0


def test_it_forgets_what_it_was_told(host: Rolled) -> None:
    assert host.run(FUNCTIONS, "gate_told_any").returncode == 1
    host.run(FUNCTIONS, "gate_sends 10.0.0.1; gate_sends 10.0.0.2")
    assert host.run(FUNCTIONS, "gate_told_any").returncode == 0
    assert host.run(FUNCTIONS, "gate_forgets && ! gate_told_any").returncode == 0
    assert host.told() == {"10.0.0.1": "maint", "10.0.0.2": "maint"}
    # Nothing to forget.
    assert host.run(FUNCTIONS, "gate_forgets").returncode == 0


@pytest.mark.parametrize(
    "said", ["echo 'no such file' >&2; exit 1", "exit 0", "echo '# be_id be_name'", "cat >&2; echo operator"]
)
def test_one_that_does_not_answer_is_no_success(host: Rolled, said: str) -> None:
    host.tell("haproxy.sh", said)
    for call in (
        "sends 10.0.0.1",
        "takes 10.0.0.1",
        "quiet 10.0.0.1",
        "finds 10.0.0.1",
        "forgets",
        # It may have been told, then.
        "told_any",
    ):
        assert host.run(FUNCTIONS, f"gate_{call}").returncode == 2, call


def test_what_a_gateway_is_asked_changes_no_variable_of_the_switch(host: Rolled) -> None:
    done = host.run(FUNCTIONS, "o=mine t=mine; gate_told_any; gate_quiet 10.0.0.1; echo $o $t")
    assert done.stdout.splitlines()[-1] == "mine mine"
