from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build


def test_its_files_are_those_of_the_checkout_and_those_that_a_release_generates() -> None:
    stack = build.stack()
    assert stack.unpinned.inputs == ("compose.yml", "release.env", "shop.env")
    assert stack.project.inputs == ("compose.yml", "release.yml", "release.env", "shop.env")
    assert stack.project.env_files == ("release.env", "shop.env", "release.env")
    assert stack.named == ["compose.yml", "conf", "release.env", "release.yml", "shop.env"]


def test_a_release_is_run_with_the_files_that_it_was_deployed_with() -> None:
    stack = replace(build.stack(), compose_files=("compose.yml", "more.yml"), env_files=("shop.env",))
    assert stack.project.files == ("compose.yml", "more.yml", "release.yml")
    release = Release("r1", "t", None, {}, {"compose.yml": "1", "release.yml": "2", "old.env": "3"})
    recorded = replace(
        release, compose_files=("old.yml",), env_files=("old.env",), inputs=("old.yml", "inner.yml")
    )
    assert stack.project_of(recorded).inputs == ("old.yml", "release.yml", "release.env", "old.env")
    assert "inner.yml" in stack.inputs_of(recorded)
    # An earlier version did not say it, and had one of each.
    assert stack.project_of(release).inputs == ("compose.yml", "release.yml", "release.env", "old.env")


def test_a_release_of_an_earlier_version_has_its_files_whatever_deploy_toml_calls_them_since() -> None:
    stack = replace(build.stack(), compose_files=("new.yml",), env_files=("new.env",))
    generated = dict.fromkeys(("release.yml", "release.env", "conf/x.yml", "conf/y.env"), "1")
    for name, env in (("old.yml", ".env.core"), ("old.yaml", "core.env")):
        release = Release("r1", "t", None, {}, {name: "1", env: "2", **generated})
        assert stack.project_of(release).inputs == (name, "release.yml", "release.env", env)
    # What cannot be told stays as deploy.toml has it.
    several = Release("r1", "t", None, {}, {"a.yml": "1", "b.yml": "2", "a.env": "3", "b.env": "4"})
    assert stack.project_of(several).inputs == ("new.yml", "release.yml", "release.env")


def test_its_images_are_kept_for_its_project_and_where_the_stack_is_called_so_under_the_tags_of_before() -> (
    None
):
    assert build.stack().keep_key == "shop-1."
    assert replace(build.stack(), project_name="shop").keep_key == "shop"


def test_its_secret_files_lie_where_a_host_deployed_before_has_them() -> None:
    places = [str(place) for place in build.stack().secret_places]
    assert places == ["/run/ktrdr-secrets/shop-1", "/dev/shm/ktrdr-secrets/shop-1"]
