"""The steps' shell text, run for real: `docker exec` runs the program here, with a psql and a grafana that remember."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy_lib.config import GrafanaAdmin, Immutable, PostgresRole
from deploy_lib.host.programs import apply
from deploy_lib.secrets.value import Secret
from tests.worst import WORST

ROLE = PostgresRole(kind="postgres-role", secret="PW", role="ROLE", service="db", timeout=2)
ADMIN = GrafanaAdmin(kind="grafana-admin", secret="ADMIN", service="grafana", timeout=2)
STEPS = (ROLE, ADMIN)

FAKES = {
    "docker": """#!/bin/sh
echo "docker $*" >> "$FAKE/argv"
case $1 in
  ps)
    case " $* " in
      *" status=exited "*) [ ! -e "$FAKE/stopped" ] || echo id;;
      *) [ -e "$FAKE/down" ] || echo id;;
    esac;;
  start) rm "$FAKE/down" "$FAKE/stopped";;
  exec) shift 3; exec "$@";;
esac
""",
    # It has one password, and takes it over TCP; over its socket it takes statements.
    "psql": """#!/bin/sh
echo "psql $*" >> "$FAKE/argv"
printf '%s' "$PGUSER" > "$FAKE/user"
case " $* " in
  *" -h "*) printf '%s' "${PGPASSWORD-none}" | cmp -s - "$FAKE/taken" || [ -e "$FAKE/trusts" ] || exit 2;;
  *) cat > "$FAKE/sql"; ! grep -q rolpassword "$FAKE/sql" || echo "'SCRAM-old'";;
esac
""",
    "pg_isready": '#!/bin/sh\n[ ! -e "$FAKE/down" ]\n',
    "hostname": "#!/bin/sh\necho 172.18.0.2\n",
    "grafana": """#!/bin/sh
echo "grafana $*" >> "$FAKE/argv"
cat > "$FAKE/admin"
""",
}


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    for name, text in FAKES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "argv").touch()
    return tmp_path


def run(fake: Path, script: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    whole = f"{apply.functions('p', STEPS)}\n{script}"
    environment = {
        **os.environ,
        "PATH": f"{fake}:{os.environ['PATH']}",
        "FAKE": str(fake),
        "ROLE": "it's me",
        **env,
    }
    return subprocess.run(["sh", "-c", whole], env=environment, capture_output=True)


@pytest.mark.parametrize("value", WORST.values(), ids=WORST)
def test_any_value_is_tried_byte_for_byte_and_on_no_command_line(fake: Path, value: str) -> None:
    (fake / "taken").write_bytes(value.encode())
    assert run(fake, 'takes_PW "$PW"', PW=value).returncode == 0
    assert run(fake, 'takes_PW "$PW"', PW=value + "x").returncode == 1
    assert (fake / "user").read_text() == "it's me"
    if len(value) > 8:
        assert value not in (fake / "argv").read_text(errors="replace")


def test_a_server_that_is_down_has_not_refused(fake: Path) -> None:
    (fake / "taken").write_text("other")
    (fake / "down").touch()
    assert run(fake, 'takes_PW "$PW"', PW="x").returncode not in (0, 1)


def test_a_container_that_went_away_has_not_refused(fake: Path) -> None:
    """`docker exec` ends with 1 where its container is no more; a refusal would count as the proof that the old value is dead."""
    (fake / "taken").write_text("new")
    script = (
        (fake / "docker").read_text().replace("exec) shift 3;", "exec) echo No such container >&2; exit 1;")
    )
    (fake / "docker").write_text(script)
    assert run(fake, 'takes_PW "$PW"', PW="old").returncode == 2


def test_postgresql_gets_a_verifier_and_is_told_to_write_nothing_down(fake: Path) -> None:
    given = apply.environment(STEPS, {"PW": Secret("clear text"), "ADMIN": Secret("x")})
    done = run(fake, apply.forward([ROLE]), **{name: value.reveal() for name, value in given.items()})
    assert done.returncode == 0, done.stderr
    statements = (fake / "sql").read_text().splitlines()
    assert statements[-1].startswith("ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-SHA-256$4096:")
    for setting in (
        "log_statement = 'none'",
        "log_min_error_statement = panic",
        "log_min_duration_statement = -1",
    ):
        assert any(setting in statement for statement in statements[:-1])
    assert "clear text" not in "".join(statements)
    assert "SCRAM" not in (fake / "argv").read_text()


def test_grafana_gets_its_password_on_standard_input(fake: Path) -> None:
    assert run(fake, "f() {\n" + apply.forward([ADMIN]) + "\n}; f", ADMIN='it\'s "$x"').returncode == 0
    assert (fake / "admin").read_text() == 'it\'s "$x"\n'
    assert "it's" not in (fake / "argv").read_text()


def prove(fake: Path, **env: str) -> tuple[int, str]:
    done = run(fake, "f() {\n" + apply.prove([ROLE]) + "\n}; f", **env)
    return done.returncode, done.stdout.decode()


def test_it_is_proven_that_the_new_value_is_taken_and_the_old_one_is_not(fake: Path) -> None:
    (fake / "taken").write_text("new")
    assert prove(fake, PW="new", old_PW="old") == (0, "")
    assert prove(fake, PW="newer", old_PW="old") == (1, "db does not take the new PW\n")
    (fake / "trusts").touch()
    assert prove(fake, PW="new", old_PW="old") == (1, "db still takes the old PW\n")
    assert prove(fake, PW="new", old_PW="new") == (0, "")


def test_going_back_brings_back_the_very_copy_and_waits_for_a_service_that_is_down(fake: Path) -> None:
    script = f"""
has_PW=1; old_PW=old; PW=new
{apply.remember([ROLE])} || exit 9
back() {{
  touch "$FAKE/down"
  {apply.back([ROLE])}
  rm "$FAKE/down" "$FAKE/sql"
  {apply.back_later([ROLE])}
}}
back"""
    assert run(fake, script).returncode == 0
    assert (fake / "sql").read_text().splitlines()[-1] == "ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-old';"


def test_nothing_is_begun_that_nothing_could_go_back_to(fake: Path) -> None:
    assert run(fake, f"has_PW=; {apply.remember([ROLE])}").returncode
    (fake / "down").touch()
    assert run(fake, f"has_PW=1; {apply.remember([ROLE])}").returncode


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.service)
def test_a_program_that_was_stopped_is_started_first(fake: Path, step: apply.Changeable) -> None:
    for name in ("down", "stopped"):
        (fake / name).touch()
    script = (
        f"has_PW=1; has_ADMIN=1; old_ADMIN=x; f() {{\n{apply.wake([step])}\n{apply.remember([step])}\n}}; f"
    )
    assert run(fake, script).returncode == 0
    assert not (fake / "down").exists()
    # What was never there cannot be started, and is not waited for.
    (fake / "down").touch()
    assert run(fake, script).returncode == (3 if step is ROLE else 0)


def test_what_is_not_changed_or_cannot_be_takes_no_step() -> None:
    fixed = Immutable(kind="immutable", secret="ROLE", service="db")
    assert apply.changeable([ROLE, ADMIN, fixed], ["ADMIN", "ROLE"]) == [ADMIN]


def test_grafana_reads_one_line() -> None:
    assert "line break" in apply.unfit(ADMIN, Secret("two\nlines"))
    assert apply.unfit(ADMIN, Secret("one line")) == apply.unfit(ROLE, Secret("two\nlines")) == ""
