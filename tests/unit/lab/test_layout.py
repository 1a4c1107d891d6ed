import socket
from pathlib import Path

import pytest

from deploy_lib.errors import UsageError
from lab import layout
from lab.layout import LISTENING, NODES, PORTS, create, free_ports, is_free, load, port_keys, prefix_of


def test_two_checkouts_have_two_names_and_one_has_always_the_same(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert prefix_of(one) != prefix_of(other)
    assert prefix_of(one) == prefix_of(other / ".." / "one")


def test_every_published_port_has_a_loopback_port_of_its_own(tmp_path: Path) -> None:
    lab = create(tmp_path)
    assert set(lab.ports) == set(port_keys())
    assert len(set(lab.ports.values())) == len(lab.ports)
    assert {f"{node}:{port}" for node in NODES for port in PORTS[node]} < set(lab.ports)


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
    assert lab.container("B") == f"{lab.prefix}-b"
    assert lab.url("core", 8000) == f"http://127.0.0.1:{lab.ports['core:8000']}"


def test_labs_side_by_side_share_no_port_though_none_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LISTENING", range(15000, 15000 + 3 * len(layout.port_keys()) + 30))
    roots = [tmp_path, layout.copies(tmp_path) / "1", layout.copies(tmp_path) / "2"]
    ports: list[int] = []
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
        ports += layout.create(root).ports.values()
    assert len(set(ports)) == len(ports) == 3 * len(layout.port_keys())
    assert layout.copies_of(tmp_path) == roots[1:]
