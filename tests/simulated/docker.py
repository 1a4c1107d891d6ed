"""The command line of `docker`, as far as the scripts call it; what it does not know it refuses loudly."""

from __future__ import annotations

import json

from .compose import Call as Project
from .compose import ComposeError, read
from .containers import ContainerCalls
from .engine import Engine
from .images import COMPOSE, ImageCalls
from .server import Call, GoneError
from .templates import TemplateError
from .things import DownError, EngineError
from .updown import Compose, Up
from .words import Options, leading, options_of


class Docker(ContainerCalls, ImageCalls):
    """Answers calls of `docker` from an engine's state."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.odd: list[str] = []

    def answer(self, call: Call) -> int:
        """Does what was called for, and gives the exit status."""
        words = call.arguments
        try:
            if words[:1] == ["compose"]:
                return self._compose(call, words[1:])
            if words[0] != "context":
                self.engine.require_up()
            count = 2 if words[0] in ("image", "volume", "network", "system") else 1
            name = "_" + "_".join(words[:count]).replace("-", "_")
            rest = words[count:]
            if (do := getattr(self, name, None)) is None:
                raise NotImplementedError
            return int(do(call, *options_of(rest)) or 0)
        except DownError as error:
            call.err(f"{error}\n")
            return 1
        except EngineError as error:
            call.err(f"Error response from daemon: {error}\n")
            return 1
        except (NotImplementedError, TemplateError, KeyError, TypeError, AttributeError) as error:
            self.odd.append(f"docker {' '.join(words)}: {error!r}")
            call.err(f"the simulated docker does not know: {' '.join(words)}: {error!r}\n")
            return 125

    def _compose(self, call: Call, words: list[str]) -> int:
        options, rest = leading(words)
        command, more, names = rest[0], *options_of(rest[1:])
        directory = options.get("--project-directory", [""])[0]
        files, env_files = options.get("-f", []), options.get("--env-file", [])
        profiles = options.get("--profile", [])
        name = options.get("-p", [""])[0]
        project = Project(name, directory, files, env_files, call.env, profiles, call.stdin.decode())
        try:
            if command == "version":
                call.out(f"{COMPOSE}\n")
            elif command == "config":
                self._config(call, project, more)
            else:
                self.engine.require_up()
                compose = Compose(self.engine, project, call.err, lambda: call.gone)
                return self._change(compose, command, more, names)
        except ComposeError as error:
            call.err(f"{error}\n")
            return 1
        except InterruptedError:
            raise GoneError from None
        return 0

    def _config(self, call: Call, project: Project, options: Options) -> None:
        model = read(project)
        call.err(model.warnings)
        if "--hash" in options:
            for name, digest in model.hashes().items():
                call.out(f"{name} {digest}\n")
        elif "--services" in options:
            call.out("".join(f"{name}\n" for name in model.services))
        else:
            call.out(json.dumps(model.data, indent=2) + "\n")

    def _change(self, compose: Compose, command: str, options: Options, names: list[str]) -> int:
        if command == "up":
            scale = {k: int(v) for each in options.get("--scale", []) for k, _, v in [each.partition("=")]}
            compose.up(
                Up(
                    services=tuple(names),
                    scale=scale,
                    start="--no-start" not in options,
                    needed="--no-deps" not in options,
                    recreate="--no-recreate" not in options,
                    orphans="--remove-orphans" in options,
                )
            )
            return 0
        if command == "run":
            return compose.run(names[0], options["--name"][0], needed="--no-deps" not in options)
        if command == "down":
            compose.down()
            return 0
        raise NotImplementedError(command)
