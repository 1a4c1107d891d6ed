"""The steps' shell text, run for real; what each program does of it is in tests/unit/host/programs."""

from pathlib import Path

import pytest

from deploy_lib.host.change import apply
from deploy_lib.host.programs import Program
from deploy_lib.host.programs.grafana import GrafanaAdmin
from deploy_lib.host.programs.immutable import Immutable
from deploy_lib.host.programs.postgres import PostgresRole
from tests.unit.host.programs.standins import Host

ROLE = PostgresRole(kind="postgres-role", secret="PW", role="ROLE", service="db", timeout=2)
ADMIN = GrafanaAdmin(kind="grafana-admin", secret="ADMIN", service="grafana", timeout=2)
STEPS = (ROLE, ADMIN)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def prove(host: Host, **env: str) -> tuple[int, str]:
    done = host.run(apply.prove([ROLE]), *STEPS, **env)
    return done.returncode, done.stdout.decode()


def test_it_is_proven_that_the_new_value_is_taken_and_the_old_one_is_not(host: Host) -> None:
    (host / "taken").write_text("new")
    assert prove(host, PW="new", old_PW="old") == (0, "")
    assert prove(host, PW="newer", old_PW="old") == (1, "db does not take the new PW\n")
    (host / "trusts").touch()
    assert prove(host, PW="new", old_PW="old") == (1, "db still takes the old PW\n")
    assert prove(host, PW="new", old_PW="new") == (0, "")


def test_a_container_that_went_away_has_not_refused(host: Host) -> None:
    """`docker exec` ends with 1 where its container is no more; a refusal would count as the proof that the old value is dead."""
    (host / "taken").write_text("new")
    gone = "exec) echo No such container >&2; exit 1;"
    (host / "docker").write_text((host / "docker").read_text().replace("exec) shift 3;", gone))
    assert host.run('takes_PW "$PW"', *STEPS, PW="old").returncode == 2


def test_going_back_brings_back_the_very_copy_and_waits_for_a_service_that_is_down(host: Host) -> None:
    script = f"""
has_PW=1; old_PW=old; PW=new
{apply.remember([ROLE])} || return 9
touch "$FAKE/down"
{apply.back([ROLE])}
rm "$FAKE/down" "$FAKE/sql"
{apply.back_later([ROLE])}"""
    assert host.run(script, *STEPS).returncode == 0
    assert (host / "sql").read_text().splitlines()[-1] == "ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-old';"


GOES_BACK = f"""
has_PW=1
{apply.remember([ROLE])} || return 9
{apply.back([ROLE])}
{apply.back_later([ROLE])}"""


def test_a_change_that_a_program_has_refused_need_not_be_taken_back(host: Host) -> None:
    (host / "refuses").touch()
    (host / "taken").write_text("old")
    assert host.run(GOES_BACK, *STEPS, old_PW="old", PW="new").returncode == 0


@pytest.mark.parametrize("has", ["new", "trusts"])
def test_a_program_that_may_have_the_new_value_has_to_be_changed_back(host: Host, has: str) -> None:
    (host / "refuses").touch()
    (host / "taken").write_text("new")
    if has == "trusts":
        (host / "trusts").touch()
    done = host.run(GOES_BACK, *STEPS, old_PW="old", PW="new")
    assert (done.returncode, done.stdout) == (1, b"db did not change PW back\n")


def test_nothing_is_begun_that_nothing_could_go_back_to(host: Host) -> None:
    assert host.run(f"has_PW=; {apply.remember([ROLE])}", *STEPS).returncode
    (host / "down").touch()
    assert host.run(f"has_PW=1; {apply.remember([ROLE])}", *STEPS).returncode


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.service)
def test_a_program_that_was_stopped_is_started_first(host: Host, step: Program) -> None:
    for name in ("down", "stopped"):
        (host / name).touch()
    script = f"has_PW=1; has_ADMIN=1; old_ADMIN=x\n{apply.wake([step])}\n{apply.remember([step])}"
    assert host.run(script, *STEPS).returncode == 0
    assert not (host / "down").exists()
    # What was never there cannot be started, and is not waited for.
    (host / "down").touch()
    assert host.run(script, *STEPS).returncode == (3 if step is ROLE else 0)


def test_what_is_not_changed_or_cannot_be_takes_no_step() -> None:
    fixed = Immutable(kind="immutable", secret="ROLE", service="db")
    assert apply.changeable([ROLE, ADMIN, fixed], ["ADMIN", "ROLE"]) == [ADMIN]


def test_going_back_still_knows_the_value_that_a_program_was_to_have(host: Host) -> None:
    """By then the variable of its name has the value of before."""
    done = host.run('PW="$old_PW"; printf %s "$new_PW"', *STEPS, old_PW="old", PW="new")
    assert done.stdout == b"new"


class Careless(GrafanaAdmin):
    """As somebody's own file may have it."""

    def keeps(self) -> str:
        return "t=theirs"


def test_what_a_program_is_asked_changes_no_variable_of_the_switch(host: Host) -> None:
    step = Careless(kind="grafana-admin", secret="PW", service="db", timeout=2)
    assert host.run("t=mine; copy_PW; echo $t", step, PW="new").stdout == b"mine\n"
