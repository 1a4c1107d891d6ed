"""A worker: `python -m uvicorn ktrdr_backend.worker:app --host 0.0.0.0 --port N`."""

from __future__ import annotations

import socket

from ktrdr_backend import logs, settings, tracing, worker_app
from ktrdr_backend.database import Database
from ktrdr_backend.operations import DatabaseOperations
from ktrdr_backend.registration import Registration

_config = settings.worker()
logs.configure(_config.log_level)
tracing.configure(f"ktrdr-{_config.slot}", _config.otlp_endpoint)
# The host name of a container is its own id: a row in the backend's register names the container it stands for.
_worker_id = f"{_config.slot}-{socket.gethostname()}"
_database = Database(_config.database, _worker_id[:63])
_operations = DatabaseOperations(_database.pool)

app = worker_app.create(
    _config, _worker_id, _database.state, _operations, Registration(_config, _worker_id, _operations)
)
