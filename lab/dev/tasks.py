"""`invoke dev.up`, `dev.down`, `dev.logs`: the development environment of this checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from deploy_lib.errors import DeployError, ExitCode

from ..tasks import speaking

JSON = "one JSON document on standard output"
NAMES = {
    "backend:8000": ("API", "/api/v1/health"),
    "prometheus:9090": ("Prometheus", "/"),
    "grafana:3000": ("Grafana", "/"),
    "jaeger:16686": ("Jaeger", "/"),
    "backtest-worker:5003": ("backtest", "/health"),
    "training-worker:5005": ("training", "/health"),
}


def dev_collection(root: Path) -> Collection:
    """`up`, `down` and `logs`, to be added to the tasks of this checkout as "dev"."""

    @task(auto_shortflags=False, help={"workers": "a backtest and a training worker, too", "json": JSON})
    def up(c: Context, workers: bool = False, json: bool = False) -> None:
        """Serve this checkout's source on 127.0.0.1 with hot reload; DEV_IMAGE=NAME serves that image."""
        with _document("dev.up", json) as (say, result, document):
            from .up import up as bring_up

            document |= bring_up(root, say, workers=workers)
            served = "this checkout's source" if document["mode"] == "reload" else document["image"]
            for key, url in document["urls"].items():
                if key in NAMES:
                    name, path = NAMES[key]
                    result(f"{name:<11} {url}{path}")
            for name, origin in document["images"].items():
                if origin == "stand-in":
                    result(f"{name} is a stand-in: the real one cannot be pulled here")
            result(f"serves      {served}; invoke dev.logs --follow, invoke dev.down")

    @task(auto_shortflags=False, help={"volumes": "remove the data, too: database, metrics", "json": JSON})
    def down(c: Context, volumes: bool = False, json: bool = False) -> None:
        """Stop the development environment; its data stay."""
        with _document("dev.down", json) as (say, result, document):
            from .up import down as take_down

            document |= take_down(root, say, volumes=volumes)
            result(f"{document['project']} is down; its data are {document['volumes']}")

    @task(
        auto_shortflags=False,
        help={
            "service": "this service only",
            "follow": "go on as lines come, until Ctrl-C",
            "tail": "so many lines of each service (100)",
        },
    )
    def logs(c: Context, service: str | None = None, follow: bool = False, tail: str | None = None) -> None:
        """Show what the development environment's containers write."""
        with speaking() as console:
            from deploy_lib.request import SERVICE, whole_number, word

            from .up import logs as show

            lines = whole_number("--tail", tail, 100, range(1_000_001))
            code = show(
                root,
                lambda text: console.step("dev", "logs", text),
                service=word("--service", service, SERVICE),
                follow=follow,
                tail=lines,
            )
        if code:
            raise Exit(code=code)

    return Collection(up, down, logs)


@contextmanager
def _document(
    name: str, as_json: bool
) -> Iterator[tuple[Callable[[str], None], Callable[[str], None], dict[str, Any]]]:
    """How a task's body says what it does and what came of it, and its document, printed however the task ends."""
    document: dict[str, Any] = {"command": name, "exit": 0}
    with speaking(as_json=as_json) as console:
        try:
            yield (
                (lambda text: console.step("dev", name.removeprefix("dev."), text)),
                console.result,
                document,
            )
        except DeployError as error:
            console.document({**document, "exit": int(error.exit_code), "error": str(error)})
            raise
        except KeyboardInterrupt:
            console.document({**document, "exit": int(ExitCode.INTERRUPTED), "error": "interrupted"})
            raise
        console.document(document)
