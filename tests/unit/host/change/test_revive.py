from deploy_lib.host.change import revive
from deploy_lib.host.change.step import shown_of


def test_what_is_paused_goes_on_and_what_is_dead_goes() -> None:
    found = {"b": "paused", "a": "paused", "c": "exited", "d": "dead", "e": "running"}
    assert shown_of(revive.steps(found)) == ["docker unpause a b", "docker rm -f d"]
    assert revive.steps({"c": "exited", "e": "running"}) == []
