from tests.unit import build


def test_its_files_are_those_of_the_checkout_and_those_that_a_release_generates() -> None:
    stack = build.stack()
    assert stack.unpinned.inputs == ("compose.yml", "shop.env")
    assert stack.project.inputs == ("compose.yml", "release.yml", "shop.env", "release.env")
    assert stack.managed == ["compose.yml", "conf", "release.env", "release.yml", "shop.env"]


def test_its_secret_files_lie_where_a_host_deployed_before_has_them() -> None:
    places = [str(place) for place in build.stack().secret_places]
    assert places == ["/run/ktrdr-secrets/shop-1", "/dev/shm/ktrdr-secrets/shop-1"]
