import re
from pathlib import Path

import pytest

from deploy_lib.errors import DeployError, PreflightError
from lab import debian, images
from tests import ROOT


def test_every_public_image_of_the_compose_files_has_a_recipe() -> None:
    for name in images.third_party(ROOT):
        recipe = images.FALLBACKS[name.partition(":")[0]]
        assert (images.RECIPES / recipe.folder / "Dockerfile").is_file()


def test_what_others_are_built_on_comes_first() -> None:
    assert images.third_party(ROOT)[0] == images.PYTHON


def test_the_backend_is_built_on_the_python_that_the_lab_offers() -> None:
    assert f"ARG PYTHON={images.PYTHON}\n" in (ROOT / "docker" / "backend" / "Dockerfile").read_text()


def test_every_public_image_is_pinned() -> None:
    for name in images.third_party(ROOT):
        assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]*\d[a-z0-9.-]*", name), name


def test_an_image_without_a_recipe_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_recipe_of", lambda name: None)
    with pytest.raises(DeployError, match=r"redis:7\.4.*no recipe"):
        images._obtain("redis:7.4", online=False, say=lambda _: None)


def test_a_recipe_is_built_again_when_any_of_its_files_changed(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    before = images._hash(tmp_path, "base")
    assert images._hash(tmp_path, "another base") != before
    (tmp_path / "Dockerfile").rename(tmp_path / "Renamed")
    assert images._hash(tmp_path, "base") != before


def test_the_nfs_servers_name_is_the_compose_files() -> None:
    name = images.nfs_image(ROOT)
    assert f"/{name.removeprefix('ktrdr/')}" in (ROOT / "compose" / "docker-compose.core.yml").read_text()


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("sources.list", "deb http://mirror.example/debian bookworm main\n", "http://mirror.example/debian"),
        (
            "sources.list",
            "# deb http://no.example/debian x main\ndeb [signed-by=/k.gpg] https://a.example/debian/ bookworm main\n",
            "https://a.example/debian",
        ),
        (
            "sources.list.d/debian.sources",
            "Types: deb\n# http://old.example/archive/debian/1\nURIs: http://b.example/debian\nSuites: bookworm\n",
            "http://b.example/debian",
        ),
        (
            "sources.list.d/all.list",
            "deb https://c.example/linux/debian-docker x stable\ndeb http://c.example/debian-security x/updates main\n"
            "deb http://c.example/debian bookworm main\n",
            "http://c.example/debian",
        ),
    ],
)
def test_the_archive_is_the_machines_own(tmp_path: Path, file: str, text: str, found: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    assert debian.find_archive(tmp_path) == found


def test_a_machine_without_an_archive_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="no Debian archive"):
        debian.find_archive(tmp_path)
