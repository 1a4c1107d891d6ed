import socket
from pathlib import Path

import pytest

from deploy_lib.errors import UsageError
from lab import layout
from lab.layout import LISTENING, Lab, free_ports, is_free, load, port_keys, prefix_of
from lab.layout import create as create_lab

from .sample import write


def create(root: Path) -> Lab:
    write(root)
    return create_lab(root, lambda _: None)


def test_two_checkouts_have_two_names_and_one_has_always_the_same(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert prefix_of(one) != prefix_of(other)
    assert prefix_of(one) == prefix_of(other / ".." / "one")


def test_every_published_port_has_a_loopback_port_of_its_own(tmp_path: Path) -> None:
    lab = create(tmp_path)
    assert set(lab.ports) == set(port_keys(lab.project))
    assert len(set(lab.ports.values())) == len(lab.ports)
    assert set(lab.ports) == {"front:22", "front:8080", "front:5432", "back:22", "registry", "mirror"}


def test_ports_stay_what_they_were(tmp_path: Path) -> None:
    ports = create(tmp_path).ports
    assert create(tmp_path).ports == ports
    assert load(tmp_path).ports == ports


def test_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(20, ())
    assert len(set(ports)) == 20
    assert all(port in LISTENING for port in ports)


def test_a_taken_port_is_not_chosen() -> None:
    only = free_ports(1, ())[0]
    assert only not in free_ports(len(LISTENING), {only})
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", only))
        holder.listen()
        assert not is_free(only)


def test_without_a_lab_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"invoke lab\.up"):
        load(tmp_path)


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    assert create(tmp_path).directory.stat().st_mode & 0o777 == 0o700


def test_containers_are_named_by_node(tmp_path: Path) -> None:
    lab = create(tmp_path)
    assert lab.container("front") == f"{lab.prefix}-front"
    assert lab.url("front", 8080) == f"http://127.0.0.1:{lab.ports['front:8080']}"


def test_nodes_of_one_host_share_its_container_and_ports(tmp_path: Path) -> None:
    write(tmp_path, back_host="front.sample.internal")
    lab = create_lab(tmp_path, lambda _: None)
    assert [host.name for host in lab.machines] == ["front.sample.internal"]
    assert lab.container("back") == lab.container("front")
    assert lab.port("back", 22) == lab.port("front", 22)


def test_a_broken_deploy_toml_is_no_end_of_a_lab_that_there_is(tmp_path: Path) -> None:
    before = create(tmp_path)
    (tmp_path / "deploy.toml").write_text("nonsense")
    said: list[str] = []
    lab = create_lab(tmp_path, said.append)
    assert lab.ports == before.ports
    assert lab.project.hosts == before.project.hosts == load(tmp_path).project.hosts
    assert (
        [text for text in said if "deploy.toml is not valid TOML" in text and "stays" in text] == said != []
    )


def test_a_lab_is_not_made_from_a_broken_deploy_toml(tmp_path: Path) -> None:
    (tmp_path / "deploy.toml").write_text("nonsense")
    with pytest.raises(UsageError, match="not valid TOML"):
        create_lab(tmp_path, lambda _: None)


def test_status_shows_the_lab_that_there_is_while_deploy_toml_gets_another_node(tmp_path: Path) -> None:
    create(tmp_path)
    write(tmp_path, back="another")
    assert set(load(tmp_path).project.hosts) == {"front", "back"}


def test_labs_side_by_side_share_no_port_though_none_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(port_keys(create(tmp_path).project))
    monkeypatch.setattr(layout, "LISTENING", range(15000, 15000 + 3 * count + 30))
    (tmp_path / ".lab" / "ports.json").unlink()
    roots = [tmp_path, layout.copies(tmp_path) / "1", layout.copies(tmp_path) / "2"]
    ports: list[int] = []
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
        ports += create(root).ports.values()
    assert len(set(ports)) == len(ports) == 3 * count
    assert layout.copies_of(tmp_path) == roots[1:]
