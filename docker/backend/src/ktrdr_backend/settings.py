"""Configuration from the environment, under KTRDR's names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

WorkerType = Literal["backtesting", "training"]
WORKER_TYPES: tuple[WorkerType, ...] = ("backtesting", "training")


@dataclass(frozen=True)
class Database:
    """Where the database is; user and password show in no repr."""

    host: str
    port: int
    name: str
    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True)
class Process:
    """What the API and the workers have in common.

    Attributes:
        otlp_endpoint: where traces go; "" for nowhere.
        version: the image's, usually its tag.
    """

    database: Database
    log_level: str
    otlp_endpoint: str
    version: str


@dataclass(frozen=True)
class Api(Process):
    """The API's configuration."""

    host: str
    port: int


@dataclass(frozen=True)
class Worker(Process):
    """A worker's configuration.

    Attributes:
        host: the name of the machine, which makes its id readable.
        public_url: where the backend reaches this very worker; it cannot be guessed from inside a container.
        shared: the directory that all nodes share.
    """

    api_url: str
    type: WorkerType
    host: str
    port: int
    public_url: str
    shared: Path

    @property
    def slot(self) -> str:
        """This worker's place, the same for every container that fills it."""
        kind = {"backtesting": "backtest", "training": "training"}[self.type]
        return f"{kind}-worker-{self.host}-{self.port}"


def api(environment: Mapping[str, str] = os.environ) -> Api:
    """The API's settings.

    Raises:
        SystemExit: naming every variable that is missing, or the one that is wrong.
    """
    process = _process(environment)
    return Api(
        **vars(process),
        host=environment.get("KTRDR_API_HOST", "127.0.0.1"),
        port=_port(environment, "KTRDR_API_PORT", "8000"),
    )


def worker(environment: Mapping[str, str] = os.environ) -> Worker:
    """A worker's settings.

    Raises:
        SystemExit: naming every variable that is missing, or the one that is wrong.
    """
    process = _process(
        environment,
        "KTRDR_API_URL",
        "WORKER_TYPE",
        "WORKER_HOSTNAME",
        "WORKER_PORT",
        "WORKER_PUBLIC_BASE_URL",
        "SHARED_MOUNT_PATH",
    )
    kind = next((t for t in WORKER_TYPES if t == environment["WORKER_TYPE"]), None)
    if kind is None:
        raise SystemExit(f"WORKER_TYPE must be one of {', '.join(WORKER_TYPES)}")
    return Worker(
        **vars(process),
        api_url=environment["KTRDR_API_URL"].rstrip("/"),
        type=kind,
        host=environment["WORKER_HOSTNAME"],
        port=_port(environment, "WORKER_PORT"),
        public_url=environment["WORKER_PUBLIC_BASE_URL"].rstrip("/"),
        shared=Path(environment["SHARED_MOUNT_PATH"]),
    )


def _process(environment: Mapping[str, str], *more: str) -> Process:
    required = ("DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD", *more)
    missing = [name for name in required if not environment.get(name)]
    if missing:
        raise SystemExit(f"not set: {', '.join(missing)}")
    return Process(
        database=Database(
            host=environment["DB_HOST"],
            port=_port(environment, "DB_PORT", "5432"),
            name=environment["DB_NAME"],
            user=environment["DB_USER"],
            password=environment["DB_PASSWORD"],
        ),
        log_level=environment.get("LOG_LEVEL", "INFO").upper(),
        otlp_endpoint=environment.get("OTLP_ENDPOINT", ""),
        version=environment.get("KTRDR_VERSION", "unknown"),
    )


def _port(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name) or default
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SystemExit(f"{name} must be a port number")
    return int(text)
