import re
from pathlib import Path

import pytest

from deploy_lib.errors import DeployError, PreflightError, UsageError
from lab import debian, images, own
from lab.project import read
from tests import ROOT

from .sample import sample, write

OURS = read(ROOT)
"""This repository, whose own lab.toml is held to account here, too."""


def test_every_public_image_of_the_compose_files_can_be_made() -> None:
    for name in images.public(OURS):
        spec = images._spec(OURS.file.images, name)
        assert spec is not None
        assert (ROOT / str(spec.recipe or spec.standin) / "Dockerfile").is_file()


def test_the_backend_is_built_on_the_python_that_the_lab_offers() -> None:
    python = images.public(OURS)[0]
    assert images.bases_of(ROOT / "docker" / "backend" / "Dockerfile") == [python]


def test_every_public_image_is_pinned() -> None:
    for name in images.public(OURS):
        assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]*\d[a-z0-9.-]*", name), name


def test_an_own_images_tag_is_the_compose_files() -> None:
    names = [*images.own(OURS)]
    assert len(names) == 2
    for name in names:
        assert f"/{name.removeprefix('ktrdr/')}" in (ROOT / "compose" / "docker-compose.core.yml").read_text()


def test_bases_come_first_and_other_registries_images_are_the_hosts_affair(tmp_path: Path) -> None:
    assert images.public(sample(tmp_path)) == ["python:3.13", "nginx:1.26", "postgres:17"]


def test_an_image_of_another_registry_counts_when_lab_toml_says_how_it_is_made(tmp_path: Path) -> None:
    project = sample(tmp_path, '[images."quay.io/other/agent"]\nrecipe = "recipes/agent"\n')
    assert "quay.io/other/agent:2" in images.public(project)


def test_own_images_are_those_of_lab_up_and_those_of_the_release(tmp_path: Path) -> None:
    project = sample(tmp_path)
    assert list(images.own(project)) == ["sample/sample-side:1.0"]
    assert own.versioned(project) == ["sample-worker"]


def test_an_own_image_that_no_compose_file_has_is_a_mistake(tmp_path: Path) -> None:
    project = sample(tmp_path, '[images.other]\ndockerfile = "Dockerfile"\n')
    with pytest.raises(UsageError, match=r"lab\.toml: images\.other: no Compose file"):
        images.own(project)


def test_an_own_image_may_lie_deeper_below_the_registry(tmp_path: Path) -> None:
    write(tmp_path, lab='[images."team/side"]\ndockerfile = "Dockerfile"\n')
    path = tmp_path / "site.yml"
    path.write_text(path.read_text().replace("/sample-side:", "/team/side:"))
    assert list(images.own(read(tmp_path))) == ["sample/team/side:1.0"]


def test_a_recipe_for_what_no_compose_file_has_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lab\.toml: images\.ngnix: no Compose file(.|\n)*nginx"):
        images.public(sample(tmp_path, '[images.ngnix]\nrecipe = "recipes/nginx"\n'))


def test_the_context_is_the_dockerfile_s_folder_unless_one_is_given(tmp_path: Path) -> None:
    project = sample(tmp_path)
    specs = project.file.images
    assert images.context_of(project, specs["sample-side"]) == tmp_path / "side"
    assert images.context_of(project, specs["sample-worker"]) == tmp_path / "worker"


def test_only_arguments_that_a_dockerfile_declares_are_given(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    found = images.arguments_of(tmp_path / "Dockerfile", {"BASE": "a", "VERSION": "b"})
    assert found == {"BASE": "a"}


def test_an_image_that_nobody_knows_how_to_make_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "recipe_of", lambda name: None)
    with pytest.raises(DeployError, match=r'redis:7\.4.*lab\.toml does not say(.|\n)*\[images\."redis"\]'):
        images._obtain(tmp_path, sample(tmp_path).file.images, "redis:7.4", online=False, say=lambda _: None)


def test_a_recipe_is_built_again_when_any_of_its_files_changed(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    before = images._hash(tmp_path, "base")
    assert images._hash(tmp_path, "another base") != before
    (tmp_path / "Dockerfile").rename(tmp_path / "Renamed")
    assert images._hash(tmp_path, "base") != before


def test_byte_code_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "standin.py").write_text("")
    before = images._hash(tmp_path, "base")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/standin.cpython-311.pyc").write_bytes(b"x")
    assert images._hash(tmp_path, "base") == before


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
