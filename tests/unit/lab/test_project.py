from pathlib import Path

import pytest

from deploy_lib.errors import UsageError
from lab.project import Host, Volume, read

from .sample import sample, write


def test_a_project_without_lab_toml_has_a_lab(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "lab.toml").unlink()
    project = read(tmp_path)
    assert project.hosts == {
        "front": Host("front", "front.sample.internal", (8080, 5432), "trixie"),
        "back": Host("back", "back.sample.internal", (), "trixie"),
    }
    assert project.registry == ("registry.sample.internal", 5001)


def test_lab_toml_says_what_deploy_toml_leaves_open(tmp_path: Path) -> None:
    project = sample(
        tmp_path,
        """
release = "bookworm"
[nodes.front]
ports = [80]
shared = { directory = "/srv/data", volume = "data" }
[nodes.back]
release = "sid"
shared = { directory = "/mnt/data" }
""",
    )
    assert project.hosts == {
        "front": Host(
            "front", "front.sample.internal", (80,), "bookworm", "/srv/data", Volume("sample-site", "data")
        ),
        "back": Host("back", "back.sample.internal", (), "sid", "/mnt/data"),
    }


def test_nodes_of_one_host_are_one_machine_with_the_ports_of_both(tmp_path: Path) -> None:
    write(tmp_path, back_host="front.sample.internal", lab="nodes.back.ports = [7000]")
    (host,) = read(tmp_path).machines
    assert (host.node, host.ports) == ("front", (8080, 5432, 7000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", r"lab\.toml is not valid TOML"),
        ("relase = 'sid'", r"lab\.toml: relase: unknown key"),
        ("[nodes.nobody]", r"lab\.toml: nodes\.nobody: deploy\.toml has no such node in environment lab"),
        ("[secrets]\nusr = 'x'", r"lab\.toml: secrets\.usr: deploy\.toml has no such secret's field\n.*user"),
        ("[images.nginx]", r"lab\.toml: images\.nginx: give exactly one of recipe, standin and dockerfile"),
        ("[images.nginx]\nrecipe = '/etc'", r"inside the folder"),
        ("environment = 'test'", r"deploy\.toml has no environment 'test' to make a lab of"),
    ],
)
def test_what_is_wrong_in_lab_toml_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sample(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "instead", "hint"),
    [
        ('ssh_config = ".lab/ssh_config"', "", r'ssh_config = "\.lab/ssh_config"'),
        ('source = "file", path = ".lab/secrets.json"', 'source = "environment"', r"\.lab/secrets\.json"),
    ],
)
def test_an_environment_that_would_not_find_the_lab_is_refused(
    tmp_path: Path, line: str, instead: str, hint: str
) -> None:
    write(tmp_path)
    path = tmp_path / "deploy.toml"
    path.write_text(path.read_text().replace(line, instead))
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    assert caught.match("environments.lab")
    assert caught.match(hint)


@pytest.mark.parametrize("name", ["registry", "Mirror", "shared"])
def test_a_node_cannot_have_the_name_of_the_lab_s_own_containers(tmp_path: Path, name: str) -> None:
    write(tmp_path, back=name)
    (tmp_path / "lab.toml").unlink()
    with pytest.raises(UsageError, match=f"cannot be called {name}"):
        read(tmp_path)
