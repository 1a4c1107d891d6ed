from deploy_lib.host.change import apply
from deploy_lib.host.programs.grafana import GrafanaAdmin
from deploy_lib.secrets.value import Secret

from .standins import Host

ADMIN = GrafanaAdmin(kind="grafana-admin", secret="ADMIN", service="grafana", timeout=2)


def test_it_gets_its_password_on_standard_input(host: Host) -> None:
    given = apply.environment([ADMIN], {"ADMIN": Secret('it\'s "$x"')})
    done = host.run(apply.forward([ADMIN]), ADMIN, **{name: value.reveal() for name, value in given.items()})
    assert done.returncode == 0
    assert (host / "admin").read_text() == 'it\'s "$x"\n'
    assert "it's" not in (host / "argv").read_text()


def test_going_back_gives_it_the_password_of_before(host: Host) -> None:
    script = f"has_ADMIN=1\n{apply.remember([ADMIN])} || return 9\n{apply.back([ADMIN])}"
    assert host.run(script, ADMIN, old_ADMIN="old one", ADMIN="new").returncode == 0
    assert (host / "admin").read_text() == "old one\n"


def test_it_reads_one_line() -> None:
    assert "line break" in ADMIN.unfit(Secret("two\nlines"))
    assert ADMIN.unfit(Secret("one line")) == ""
