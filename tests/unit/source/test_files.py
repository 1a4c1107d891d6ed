"""The files of a stack, as a checkout has them."""

from pathlib import Path

import pytest

from deploy_lib.config import Stack
from deploy_lib.errors import UsageError
from deploy_lib.source.files import collect

STACK = Stack(compose="deploy/shop.yml", env_file="deploy/shop.env", directories=("deploy/conf",))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deploy/conf/web").mkdir(parents=True)
    for name, content in {
        "shop.yml": b"services: {}\n",
        "shop.env": b"A=1\n",
        "conf/web/site.conf": b"\xff\0",
        "conf/z": b"",
    }.items():
        (tmp_path / "deploy" / name).write_bytes(content)
    return tmp_path


def test_they_lie_on_the_host_below_the_stacks_own_directory(root: Path) -> None:
    assert collect(root, STACK) == {
        "shop.yml": b"services: {}\n",
        "shop.env": b"A=1\n",
        "conf/web/site.conf": b"\xff\0",
        "conf/z": b"",
    }


def test_a_directory_that_is_missing_is_named_with_the_key_that_asks_for_it(root: Path) -> None:
    (root / "deploy/conf").rename(root / "deploy/other")
    with pytest.raises(UsageError, match=r"no directory deploy/conf\n.*`directories`"):
        collect(root, STACK)


@pytest.mark.parametrize("name", ["shop.yml", "shop.env"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(root: Path, name: str) -> None:
    (root / "deploy" / name).unlink()
    with pytest.raises(UsageError, match=rf"{name} cannot be read: No such file or directory"):
        collect(root, STACK)


def test_a_link_to_nothing_is_no_file(root: Path) -> None:
    (root / "deploy/conf/gone").symlink_to("nowhere")
    assert "conf/gone" not in collect(root, STACK)
