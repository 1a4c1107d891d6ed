import pytest
import yaml

from deploy_lib.compose.override import mounted_mark, override_file, variables_file
from deploy_lib.compose.service import Mount, Service
from deploy_lib.errors import UsageError
from deploy_lib.layout import DELIVERY_LABEL, MOUNTED_LABEL, SECRETS_LABEL
from deploy_lib.release.image import Image


def test_each_service_is_pinned_and_one_with_secrets_is_marked() -> None:
    images = {"db": f"x:1@sha256:{'a' * 64}", "web": f"h:5443/o/y:2@sha256:{'b' * 64}"}
    pinned = {service: Image.parse(text) for service, text in images.items()}
    content = override_file(pinned, {"db": "DB_PASSWORD=12 DB_USER=34"})
    assert yaml.safe_load(content)["services"] == {
        "db": {"image": images["db"], "labels": {"io.ktrdr.deploy.secrets": "DB_PASSWORD=12 DB_USER=34"}},
        "web": {"image": images["web"]},
    }


def test_secrets_in_memory_are_files_for_compose_and_a_label_tells_so() -> None:
    files = {"password": "/run/s/demo/DB_PASSWORD", "user": "/run/s/demo/DB_USER"}
    text = override_file({"db": Image("x"), "web": Image("y")}, {"db": "DB_PASSWORD=12"}, files).decode()
    data = yaml.safe_load(text.replace("!reset ", ""))
    assert data["secrets"]["user"] == {"environment": None, "file": "/run/s/demo/DB_USER"}
    assert data["services"]["db"]["labels"][DELIVERY_LABEL] == "/run/s/demo"
    assert "labels" not in data["services"]["web"]


def test_variables_are_taken_literally_or_refused() -> None:
    assert b"A='$HOME `x` \"y\"'\n" in variables_file({"A": '$HOME `x` "y"'})
    assert variables_file({"A": r"C:\x\\"}).endswith(rb"A='C:\x\\'" + b"\n")
    for bad in ("it's", "two\nlines", "C:\\"):
        with pytest.raises(UsageError, match="the value of A"):
            variables_file({"A": bad})


def mounting(*paths: str, contents: dict[str, str] | None = None) -> Service:
    mounts = tuple(Mount("bind", path, "/x") for path in paths)
    return Service("web", Image.parse("x"), mounts=mounts, contents=contents or {})


FILES = {"conf/a.conf": "1", "conf/sub/b.conf": "2", "conf.d/c.conf": "3", "compose.yml": "4"}


def test_a_service_is_marked_by_the_files_that_it_mounts_and_by_no_others() -> None:
    whole, one = mounted_mark(mounting("conf"), FILES, ()), mounted_mark(mounting("conf/a.conf"), FILES, ())
    assert whole
    assert len({whole, one, ""}) == 3
    assert mounted_mark(mounting("conf"), {**FILES, "conf/sub/b.conf": "9"}, ()) != whole
    assert mounted_mark(mounting("conf"), {**FILES, "conf.d/c.conf": "9", "compose.yml": "9"}, ()) == whole
    assert mounted_mark(mounting("/etc", "elsewhere"), FILES, ()) == ""


def test_a_profile_and_the_directory_of_a_volume_count_as_mounted() -> None:
    service = Service("web", Image.parse("x"), reads=("conf/sub", "compose.yml"))
    mark = mounted_mark(service, FILES, ())
    assert mounted_mark(service, {**FILES, "conf/sub/b.conf": "9"}, ()) not in (mark, "")
    assert mounted_mark(service, {**FILES, "conf/a.conf": "9"}, ()) == mark


def test_what_it_is_told_of_in_another_way_does_not_count() -> None:
    assert mounted_mark(mounting("conf"), FILES, ["conf/"]) == ""
    kept = mounted_mark(mounting("conf"), FILES, ["conf/sub/"])
    assert kept == mounted_mark(mounting("conf"), {**FILES, "conf/sub/b.conf": "9"}, ["conf/sub/"])
    assert kept != mounted_mark(mounting("conf"), {**FILES, "conf/a.conf": "9"}, ["conf/sub/"])


def test_the_content_of_a_config_counts() -> None:
    one, two = (mounted_mark(mounting(contents={"/c": text}), {}, ()) for text in "12")
    assert one and two  # noqa: PT018
    assert one != two


def test_the_mark_stands_beside_that_of_the_secrets() -> None:
    made = yaml.safe_load(
        override_file({"web": Image("x"), "db": Image("y")}, {"web": "S=1"}, None, {"web": "abc"})
    )
    assert made["services"]["web"]["labels"] == {SECRETS_LABEL: "S=1", MOUNTED_LABEL: "abc"}
    assert "labels" not in made["services"]["db"]
