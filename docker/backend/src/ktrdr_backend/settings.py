"""Configuration from the environment, under KTRDR's names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """What the application is configured with; the secret values show in no repr."""

    db_host: str
    db_port: int
    db_name: str
    db_user: str = field(repr=False)
    db_password: str = field(repr=False)
    api_host: str
    api_port: int
    environment: str
    log_level: str
    otlp_endpoint: str
    version: str


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings.

    Raises:
        SystemExit: naming every variable that is missing or empty.
    """
    env = os.environ if environment is None else environment
    required = ("DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD")
    missing = [name for name in required if not env.get(name)]
    if missing:
        raise SystemExit(f"not set: {', '.join(missing)}")
    return Settings(
        db_host=env["DB_HOST"],
        db_port=int(env.get("DB_PORT", "5432")),
        db_name=env["DB_NAME"],
        db_user=env["DB_USER"],
        db_password=env["DB_PASSWORD"],
        api_host=env.get("KTRDR_API_HOST", "127.0.0.1"),
        api_port=int(env.get("KTRDR_API_PORT", "8000")),
        environment=env.get("ENVIRONMENT", "development"),
        log_level=env.get("LOG_LEVEL", "INFO"),
        otlp_endpoint=env.get("OTLP_ENDPOINT", ""),
        version=env.get("KTRDR_VERSION", "unknown"),
    )
