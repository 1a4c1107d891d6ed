"""What a script needs of a channel, both kinds have."""

import pytest

from deploy_lib.ssh.script_channel import ScriptChannel
from deploy_lib.ssh.shared_channel import SharedChannel
from deploy_lib.ssh.transport import StrictChannel

CHANNELS = [StrictChannel(0), SharedChannel(lambda: pytest.fail("it connects"), 1)]


@pytest.mark.parametrize("channel", CHANNELS)
def test_nothing_is_missing_of_a_channel(channel: object) -> None:
    wanted = {name for name in vars(ScriptChannel) if not name.startswith("_")}
    assert wanted >= {"exec_command", "send", "recv"}
    assert {name for name in wanted if not hasattr(channel, name)} == set()
