import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

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


def test_its_command_line_finds_the_data_that_the_server_has(host: Host) -> None:
    """The entry point hands the server more than `docker exec` has."""
    (host / "password").write_text("of the database\n")
    env = {"GF_PATHS_CONFIG": "/etc/my grafana.ini", "GF_DATABASE_PASSWORD__FILE": str(host / "password")}
    assert host.run("change_ADMIN x", ADMIN, **env).returncode == 0
    assert (
        "grafana cli --config /etc/my grafana.ini admin reset-admin-password" in (host / "argv").read_text()
    )
    assert (host / "database").read_text() == "of the database"


class Server(HTTPServer):
    """Grafana's HTTP interface below /grafana; it takes one password."""

    status = 0

    class Handler(BaseHTTPRequestHandler):
        server: "Server"

        def do_GET(self) -> None:
            known = f"Basic {base64.b64encode(b'admin:right').decode()}"
            moved = not self.path.startswith("/grafana/")
            taken = 200 if self.headers["Authorization"] == known else 401
            self.send_response(self.server.status or (301 if moved else taken))
            if moved:
                self.send_header("Location", f"https://example.org/grafana{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Server.Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_below_a_path_it_is_asked_there(host: Host, server: Server) -> None:
    step = ADMIN.model_copy(update={"port": server.server_port})
    assert host.run("takes_ADMIN right", step).returncode == 0
    assert host.run("takes_ADMIN wrong", step).returncode == 1


def test_an_answer_that_is_neither_yes_nor_no_is_quoted(host: Host, server: Server) -> None:
    server.status = 503
    step = ADMIN.model_copy(update={"port": server.server_port})
    done = host.run(apply.prove([step]), step, ADMIN="new", old_ADMIN="old")
    said = "grafana does not take the new ADMIN: it answers HTTP/1.0 503 Service Unavailable\n"
    assert (done.returncode, done.stdout.decode()) == (1, said)
