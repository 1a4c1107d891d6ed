"""A small project, a simulated host that it is deployed to, and the commands that an operator gives."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy_lib.config import Environment, load
from deploy_lib.errors import DeployError
from deploy_lib.fleet.deploy import deploy
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.prepare import prepare
from deploy_lib.fleet.pruning import prune
from deploy_lib.fleet.rollback import roll_back
from deploy_lib.fleet.rotation import rotate
from deploy_lib.host.look.gather import gather
from deploy_lib.host.stack import HostStack
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.plan.status import Status, status
from deploy_lib.request import Request

from .gateway import Gateway
from .host import Host
from .moments import Fault
from .project import BAD, GATEWAY, ROLLED, TAGS, compose_file, deploy_toml
from .session import SimulatedSession
from .shells import SHELLS
from .things import Behaviour, Container


@dataclass
class Told:
    """How a command ended.

    Attributes:
        said: all that it printed, for messages.
    """

    exit: int
    said: str = field(repr=False)


class World:
    """A project and its host.

    Args:
        folder: for the project's files; empty.
        rolling: the web server has a gateway in front, and is replaced without losing a request.

    Attributes:
        lost: when a request would have been lost although all was well when the command began: what was to happen next, and the
            state of whoever would have got it.
    """

    def __init__(self, folder: Path, shell: str = SHELLS[0], *, rolling: bool = False) -> None:
        self.folder = folder
        self.rolling = rolling
        self.host = Host(shell, self._watch)
        self.lost: list[str] = []
        self._watched = False
        (folder / "conf").mkdir()
        files = {
            "deploy.toml": f'{deploy_toml(rolling=rolling)}directory = "{self.host.home}"\n',
            "shop.yml": compose_file(rolling=rolling),
            "shop.env": "GREETING=hello\n",
            "conf/site.conf": "first\n",
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        self.renew()
        for tag in (*TAGS, *BAD):
            self.host.engine.push(f"registry.example/house/web:{tag}")
        for other in self.others:
            self.host.engine.push(other)
        self.environment: Environment = load(folder, "house")
        self.said = ""

    @property
    def others(self) -> list[str]:
        """Images that are not the project's own."""
        gateway = ["registry.example/others/gateway:3"] if self.rolling else []
        return ["registry.example/others/store:5", *gateway]

    # --- what an operator does here ------------------------------------------------------------------------------

    def renew(self) -> dict[str, str]:
        """Changes the values of all secrets at their source."""
        values = {"database": secrets.token_hex(12), "web": secrets.token_hex(12)}
        path = self.folder / "secrets.json"
        path.touch(0o600)
        path.write_text(json.dumps(values))
        return values

    @property
    def values(self) -> dict[str, str]:
        """By their files in containers, the values at the source."""
        found = json.loads((self.folder / "secrets.json").read_text())
        return {"/run/secrets/db_password": found["database"], "/run/secrets/web_token": found["web"]}

    def edit(self, text: str) -> None:
        """Changes a file that the web server mounts."""
        (self.folder / "conf/site.conf").write_text(f"{text}\n")

    def deploy(self, tag: str, **more: object) -> Told:
        """`deploy-shop --tag TAG`."""
        request = Request("deploy-shop", tag=tag, **more)  # type: ignore[arg-type]
        return self._change(request, lambda nodes, console: deploy(self.environment, nodes, request, console))

    def roll_back(self) -> Told:
        """`rollback`."""
        request = Request("rollback")
        return self._change(
            request, lambda nodes, console: roll_back(self.environment, nodes, request, console, named=True)
        )

    def rotate(self) -> Told:
        """`rotate-secrets`."""
        request = Request("rotate-secrets")
        return self._change(request, lambda nodes, console: rotate(self.environment, nodes, request, console))

    def prune(self) -> Told:
        """`prune`."""
        request = Request("prune")
        return self._change(request, lambda nodes, console: prune(nodes, request, console))

    def status(self) -> Status:
        """`status`."""
        node = self.environment.nodes["front"]
        session = self._session()
        try:
            return status(gather(session, HostStack(node, "shop"), {}, {}))
        finally:
            session.close()

    def start_by_hand(self, tag: str) -> None:
        """Somebody has started the project without this program, in the same place."""
        home = self.host.home
        (home / "conf").mkdir(parents=True)
        for name in ("shop.yml", "shop.env", "conf/site.conf"):
            (home / name).write_text((self.folder / name).read_text())
        values = self.values
        exported = {
            **{"IMAGE_REGISTRY": "registry.example/house", "IMAGE_TAG": tag},
            **{
                "DB_PASSWORD": values["/run/secrets/db_password"],
                "WEB_TOKEN": values["/run/secrets/web_token"],
            },
        }
        engine = self.host.engine
        for image in (f"registry.example/house/web:{tag}", *self.others):
            engine.pull(image)
        lines = [f"export {name}={value}" for name, value in exported.items()]
        lines.append(
            f"docker compose -p shop --project-directory {home} -f {home}/shop.yml --env-file {home}/shop.env up -d"
        )
        done = self.host.begin("\n".join(lines))
        said = done.communicate()
        assert done.returncode == 0, said

    # --- how it is done ------------------------------------------------------------------------------------------------

    def _session(self) -> SimulatedSession:
        return self.host.session("front", self._http)

    def _change(self, request: Request, work: Callable[[list[Deployment], Console], Done]) -> Told:
        said = io.StringIO()
        console = Console(out=said, err=said, debug=True)
        deployments: list[Deployment] = []
        try:
            nodes = [self.environment.nodes["front"]]
            deployments = prepare(self.environment, nodes, request, console, lambda _: self._session())
            done = work(deployments, console)
            code = int(done.exit)
            for deployment in done.nodes:
                if deployment.error is not None:
                    console.error(deployment.error)
        except DeployError as error:
            code = int(error.exit_code)
            console.error(error)
        finally:
            for deployment in deployments:
                deployment.close()
        self.said = said.getvalue()
        return Told(code, self.said)

    def _http(self, port: int, path: str) -> tuple[int, bytes] | None:
        """What the container that publishes a port answers, or the one that this sends the request to."""
        if self.rolling:
            found = self._sends_to()
            return (
                ((500 if Behaviour(found[0].says).lame else 200), found[0].says.encode()) if found else None
            )
        for c in self.host.engine.of("shop"):
            if c.state == "running" and any(
                str(p.get("published")) == str(port) for p in c.spec.get("ports") or ()
            ):
                return (500 if Behaviour(c.says).lame else 200), c.says.encode()
        return None

    # --- whether a request would be lost ------------------------------------------------------------------------------

    def _sends_to(self) -> list[Container]:
        """The containers that the gateway sends requests to."""
        gateways = [c for c in self.host.engine.of("shop") if c.service == GATEWAY and c.state == "running"]
        return [c for gate in gateways for c in Gateway(self.host.engine, gate, ROLLED).sends_to()]

    def _watch(self, what: str) -> None:
        with self.host.engine.lock:
            if not self._watched:
                return
            found = self._sends_to()
            ready = bool(found) and all(c.health == "healthy" for c in found)
            # Who is stopped must not be sent any more.
            if not ready or what in {f"stop {c.name}" for c in found}:
                self.lost.append(f"{what}: {', '.join(f'{c.name} is {c.health}' for c in found) or 'nobody'}")

    def watch(self, *, on: bool) -> list[str]:
        """Looks from now on at each moment whether a request would be lost, if all is well now; or gives what was seen.

        What befalls the engine or the power ends all containers: whoever lets that happen does not look.
        """
        for c in self._sends_to():
            while on and c.state == "running" and c.health == "starting":
                self.host.engine.look(c)
        found = self._sends_to()
        self._watched = on and bool(found) and all(c.health == "healthy" for c in found)
        seen, self.lost = self.lost, []
        return seen

    # --- what is there ----------------------------------------------------------------------------------------------------

    @property
    def containers(self) -> dict[str, Container]:
        """Those of the project, by name."""
        return {c.name: c for c in self.host.engine.of("shop")}

    def events(self) -> list[dict[str, object]]:
        """The host's history."""
        path = self.host.home / ".deploy/history.jsonl"
        found = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def armed(self, fault: Fault, command: Callable[[], Told]) -> Told:
        """A command that a fault befalls."""
        self.host.fault = fault
        try:
            return command()
        finally:
            assert not fault.came or fault.over.wait(60)
            self.host.fault = None
            self.host.engine.refusing = 0
