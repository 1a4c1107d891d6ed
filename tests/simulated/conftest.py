from collections.abc import Iterator

import pytest

from deploy_lib.host.prove import health, probe


@pytest.fixture(autouse=True, scope="package")
def no_waiting() -> Iterator[None]:
    """Containers here change when they are looked at, so that no time has to pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "PATIENCE", 0.05)
        patch.setattr(health, "STEADY", 0.05)
        patch.setattr(probe, "INTERVAL", 0.02)
        yield
