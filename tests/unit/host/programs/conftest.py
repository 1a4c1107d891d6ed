"""A host whose `docker exec` runs the program on this machine, with servers and clients that remember."""

from pathlib import Path

import pytest

from .standins import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
