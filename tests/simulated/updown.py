"""`docker compose up`, `run` and `down`, in the small steps that Compose takes, between any two of which it may end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .compose import Call, ComposeError, Model, hash_of, read
from .engine import Engine
from .things import DEPENDS, HASH, NUMBER, ONE_OFF, PROJECT, SERVICE, Container, EngineError

_LABEL = "com.docker.compose.project"


@dataclass(frozen=True)
class Up:
    """What `up` was told.

    Attributes:
        services: these alone, and what they depend on; none: all.
        scale: by service, how many containers.
    """

    services: tuple[str, ...] = ()
    scale: Mapping[str, int] | None = None
    start: bool = True
    needed: bool = True
    recreate: bool = True
    orphans: bool = False


class Compose:
    """Compose with one engine.

    Args:
        say: prints on standard error.
        gone: whether the caller has ended: Compose then ends between two of its steps.
    """

    def __init__(
        self, engine: Engine, call: Call, say: Callable[[str], object], gone: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._call = call
        self._say = say
        self._gone = gone
        self._run = engine.run

    def model(self) -> Model:
        """The files, with the warnings said."""
        model = read(self._call)
        if model.warnings:
            self._say(model.warnings)
        return model

    def _step(self) -> None:
        """Between two steps."""
        if self._gone():
            raise InterruptedError
        if self._engine.run != self._run:
            raise EngineError("error during connect: the engine has ended")

    def up(self, options: Up) -> None:
        """Makes the containers what the files say."""
        model = self.model()
        if options.orphans:
            for c in [*self._engine.of(self._call.name)]:
                if c.service not in model.services and not c.one_off:
                    self._take_away(c)
        wanted = [*_ordered(model, options.services, needed=options.needed)]
        for name in wanted:
            self._converge(model, name, options)
        if not options.start:
            return
        for name in wanted:
            for c in self._own(name):
                if c.state == "running":
                    continue
                self._await(model, name, options)
                self._step()
                self._say(f" Container {c.name}  Starting\n")
                self._engine.start(c)
                self._say(f" Container {c.name}  Started\n")

    def _own(self, service: str) -> list[Container]:
        own = [c for c in self._engine.of(self._call.name) if c.service == service and not c.one_off]
        return sorted(own, key=lambda c: int(c.labels[NUMBER]))

    def _converge(self, model: Model, name: str, options: Up) -> None:
        spec = model.services[name]
        count = (options.scale or {}).get(name, (spec.get("deploy") or {}).get("replicas", 1))
        own = self._own(name)
        half = [c for c in own if re.match("[0-9a-f]{12}_", c.name)]
        if half and len(own) > 1:
            # What Compose 2.26 makes of its own half work: neither the old container nor the new one is left as it should be.
            made = self._make(model, name, f"{half[0].id[:12]}_{self._call.name}-{name}-1", 1)
            for c in own:
                self._take_away(c)
            raise EngineError(f'Conflict. The container name "/{made.name}" is already in use')
        for c in own[count:]:
            self._take_away(c)
        for c in own[:count]:
            if c.labels[HASH] != hash_of(spec) and options.recreate:
                self._replace(model, name, c)
        # Numbers count on.
        last = max((int(c.labels[NUMBER]) for c in own), default=0)
        for number in range(last + 1, last + 1 + count - len(own)):
            self._make(model, name, f"{self._call.name}-{name}-{number}", number)

    def _make(
        self, model: Model, name: str, as_name: str, number: int, *, one_off: bool = False
    ) -> Container:
        self._step()
        spec = model.services[name]
        labels = {
            **(spec.get("labels") or {}),
            PROJECT: self._call.name,
            SERVICE: name,
            HASH: hash_of(spec),
            NUMBER: str(number),
            ONE_OFF: str(one_off),
            DEPENDS: ",".join(
                f"{k}:{v['condition']}:false" for k, v in (spec.get("depends_on") or {}).items()
            ),
            f"{_LABEL}.working_dir": self._call.directory,
            f"{_LABEL}.config_files": ",".join(self._call.files),
            f"{_LABEL}.environment_file": ",".join(self._call.env_files),
        }
        plain = _plain(spec)
        if one_off:
            plain = {**plain, "ports": [], "restart": "no"}
        env = {k: v for k, v in (plain.get("environment") or {}).items() if v is not None}
        self._say(f" Container {as_name}  Creating\n")
        made = self._engine.create(as_name, plain["image"], labels, plain, env)
        # Here, and not when it is started: what is only started again keeps what it has.
        made.files |= _secrets(model, spec)
        self._say(f" Container {as_name}  Created\n")
        return made

    def _replace(self, model: Model, name: str, c: Container) -> None:
        self._say(f" Container {c.name}  Recreate\n")
        as_name = f"{self._call.name}-{name}-{c.labels[NUMBER]}"
        made = self._make(model, name, f"{c.id[:12]}_{as_name}", int(c.labels[NUMBER]))
        self._take_away(c)
        self._step()
        self._engine.rename(made, as_name)
        self._say(f" Container {c.name}  Recreated\n")

    def _take_away(self, c: Container) -> None:
        if c.state == "running":
            self._step()
            self._engine.stop(c)
        self._step()
        self._engine.remove(c)

    def _await(self, model: Model, name: str, options: Up) -> None:
        """Waits for what a service depends on."""
        for other, needed in (model.services[name].get("depends_on") or {}).items() if options.needed else ():
            for c in self._own(other):
                while needed["condition"] == "service_healthy" and c.health != "healthy":
                    if c.health == "unhealthy" or c.state != "running":
                        raise EngineError(f"dependency failed to start: container {c.name} is unhealthy")
                    self._step()
                    self._engine.look(c)
                    time.sleep(0.001)
                if needed["condition"] == "service_completed_successfully" and c.code:
                    raise EngineError(f'service "{other}" didn\'t complete successfully: exit {c.code}')

    def run(self, service: str, name: str, *, needed: bool) -> int:
        """`run --rm`: the status of a command."""
        model = self.model()
        if needed:
            self.up(Up(services=tuple(model.services[service].get("depends_on") or ())))
        made = self._make(model, service, name, 1, one_off=True)
        self._step()
        self._engine.start(made)
        code = made.code
        self._step()
        self._engine.remove(made, force=True)
        return code

    def down(self) -> None:
        """Takes all containers of the project away."""
        for c in [*self._engine.of(self._call.name)]:
            self._take_away(c)


def _plain(value: Any) -> Any:
    """What is rendered with two dollar signs, as a container gets it."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _secrets(model: Model, spec: Mapping[str, Any]) -> dict[str, str]:
    """The files with the values of a service's secrets, which come from the variables of whoever calls."""
    found = {}
    for each in spec.get("secrets") or ():
        source = model.data["secrets"][each["source"]]
        if "environment" not in source:
            continue
        value = model.env.get(source["environment"])
        if value is None:
            raise ComposeError(
                f'environment variable "{source["environment"]}" required by secret "{each["source"]}" is not set'
            )
        target = each.get("target") or each["source"]
        found[target if target.startswith("/") else f"/run/secrets/{target}"] = value
    return found


def _ordered(model: Model, services: tuple[str, ...], *, needed: bool) -> Iterator[str]:
    """The services, each after those that it depends on."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if needed:
            for other in model.services[name].get("depends_on") or ():
                if other in model.services:
                    visit(other)
        if name not in done:
            done.append(name)

    for name in services or sorted(model.services):
        if name not in model.services:
            raise ComposeError(f"no such service: {name}")
        visit(name)
    yield from done
