from deploy_lib.host.change import revive
from deploy_lib.host.change.step import shown_of


def test_what_is_paused_goes_on_and_nothing_else_is_touched() -> None:
    assert shown_of(revive.steps(["b", "a"])) == ["docker unpause a b"]
    assert revive.steps([]) == []
