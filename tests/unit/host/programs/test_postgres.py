import pytest

from deploy_lib.host.change import apply
from deploy_lib.host.programs.postgres import PostgresRole
from deploy_lib.secrets.value import Secret
from tests.worst import WORST

from .standins import Host

ROLE = PostgresRole(kind="postgres-role", secret="PW", role="ROLE", service="db", timeout=2)


@pytest.mark.parametrize("value", WORST.values(), ids=WORST)
def test_any_value_is_tried_byte_for_byte_and_on_no_command_line(host: Host, value: str) -> None:
    (host / "taken").write_bytes(value.encode())
    assert host.run('takes_PW "$PW"', ROLE, PW=value).returncode == 0
    assert host.run('takes_PW "$PW"', ROLE, PW=value + "x").returncode == 1
    assert (host / "user").read_text() == "it's me"
    if len(value) > 8:
        assert value not in (host / "argv").read_text(errors="replace")


def test_a_server_that_is_down_has_not_refused(host: Host) -> None:
    (host / "taken").write_text("other")
    (host / "down").touch()
    assert host.run('takes_PW "$PW"', ROLE, PW="x").returncode not in (0, 1)


def test_a_server_that_has_just_begun_to_answer_has_not_refused(host: Host) -> None:
    (host / "taken").write_text("new")
    (host / "early").touch()
    assert host.run('takes_PW "$PW"', ROLE, PW="new").returncode == 0


def test_a_server_without_a_connection_left_has_not_refused(host: Host) -> None:
    (host / "taken").write_text("other")
    (host / "full").touch()
    assert host.run('takes_PW "$PW"', ROLE, PW="x").returncode == 2


def test_it_gets_a_verifier_and_is_told_to_write_nothing_down(host: Host) -> None:
    given = apply.environment([ROLE], {"PW": Secret("clear text")})
    done = host.run(apply.forward([ROLE]), ROLE, **{name: value.reveal() for name, value in given.items()})
    assert done.returncode == 0, done.stderr
    statements = (host / "sql").read_text().splitlines()
    assert statements[-1].startswith("ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-SHA-256$4096:")
    for setting in (
        "('log_statement', 'none')",
        "('log_min_error_statement', 'panic')",
        "('log_min_duration_statement', '-1')",
    ):
        assert any(setting in statement for statement in statements[:-1])
    assert "clear text" not in "".join(statements)
    assert "SCRAM" not in (host / "argv").read_text()


def test_it_is_told_of_no_setting_that_it_may_not_have(host: Host) -> None:
    """PostgreSQL 12 has no log_min_duration_sample, and a statement that sets it ends the script."""
    assert host.run('change_PW "$APPLY_PW"', ROLE, APPLY_PW="'SCRAM'").returncode == 0
    *before, _ = (host / "sql").read_text().splitlines()
    assert not any(statement.startswith("SET ") for statement in before)
    assert all("JOIN pg_settings" in statement for statement in before)


def test_going_back_brings_back_the_very_copy(host: Host) -> None:
    script = f"has_PW=1\n{apply.remember([ROLE])} || return 9\n{apply.back([ROLE])}"
    assert host.run(script, ROLE, old_PW="old", PW="new").returncode == 0
    assert (host / "sql").read_text().splitlines()[-1] == "ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-old';"


def test_the_secret_that_names_the_role_has_to_be_declared() -> None:
    assert ROLE.uses() == ("ROLE",)


def test_a_line_break_at_the_end_would_not_reach_it() -> None:
    assert ROLE.unfit(Secret("two\nlines")) == ""
    assert "PW ends in a line break" in ROLE.unfit(Secret("two\nlines\n"))
