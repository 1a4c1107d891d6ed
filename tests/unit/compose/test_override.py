import pytest
import yaml

from deploy_lib.compose.override import override_file, variables_file
from deploy_lib.errors import UsageError
from deploy_lib.layout import DELIVERY_LABEL
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
    for bad in ("it's", "two\nlines"):
        with pytest.raises(UsageError, match="the value of A"):
            variables_file({"A": bad})
