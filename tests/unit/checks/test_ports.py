"""Ports are compared by protocol and address."""

import pytest

from deploy_lib.checks.ports import check_ports
from deploy_lib.compose.container import Container
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher
from deploy_lib.compose.service import Made, Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.release.image import Image
from deploy_lib.values import replace

RESOLVER = Port(53, "udp", "127.0.0.53")
EVERYWHERE, EVERYWHERE_6 = Port(8000, "tcp", "0.0.0.0"), Port(8000, "tcp", "::")


def facts(
    *wanted: Port,
    listening: tuple[Port, ...] = (),
    publishers: tuple[Publisher, ...] = (),
    own: str = "",
    replicas: int = 1,
    host_network: bool = False,
) -> Facts:
    image = Image("i")
    containers = (Container("1", own, "web", image, "id", "running", None, 0, 0, ""),) if own else ()
    return Facts(
        services={"web": Service("web", image, replicas, wanted, host_network=host_network)},
        containers=containers,
        machine=Machine(listening=frozenset(listening), publishers=publishers),
    )


@pytest.mark.parametrize(
    ("wanted", "held", "free"),
    [
        (Port(53, "udp", "192.168.7.9"), RESOLVER, True),
        (Port(53, "tcp", "127.0.0.53"), RESOLVER, True),
        (Port(53, "udp", "0.0.0.0"), RESOLVER, False),
        (Port(53, "udp"), RESOLVER, False),
        (Port(8000), EVERYWHERE, False),
        (Port(8001), EVERYWHERE, True),
        (Port(8000, address="192.168.7.9"), EVERYWHERE, False),
        # Whoever listens on all addresses of IPv6 usually has those of IPv4, too.
        (Port(8000, address="192.168.7.9"), EVERYWHERE_6, False),
        (Port(8000, address="::1"), EVERYWHERE, True),
        (Port(8000, address="::1"), EVERYWHERE_6, False),
        (Port(8000, address="[::1]"), Port(8000, "tcp", "::1"), False),
        (Port(8000, address="fd00::1"), Port(8000, "tcp", "::1"), True),
        (Port(8000, address="127.0.0.1"), Port(8000, "tcp", "::ffff:127.0.0.1"), False),
        (Port(8000, address="odd"), Port(8000, "tcp", "127.0.0.1"), True),
    ],
)
def test_a_port_is_taken_where_both_cannot_be_bound(wanted: Port, held: Port, free: bool) -> None:
    for found in (
        facts(wanted, listening=(held,)),
        facts(wanted, publishers=(Publisher("other-1", "", frozenset({held})),)),
    ):
        check = check_ports(found)
        assert check.result == ("ok" if free else "failed"), check.problem
        assert free or f"{wanted}, for web, is in use by" in check.problem
    assert wanted.collides(held) == held.collides(wanted)


def test_what_the_stack_itself_holds_it_releases() -> None:
    held = (EVERYWHERE, EVERYWHERE_6)
    web = Publisher("web-1", "p", frozenset(held))
    assert check_ports(facts(Port(8000), listening=held, publishers=(web,), own="web-1")).result == "ok"
    other = Publisher("other-1", "q", frozenset(held))
    check = check_ports(facts(Port(8000), listening=held, publishers=(other,), own="web-1"))
    assert check.problem == "8000, for web, is in use by the container other-1"


def test_another_program_beside_the_stacks_own_address_is_seen() -> None:
    own, other = Port(8000, "tcp", "127.0.0.1"), Port(8000, "tcp", "192.168.7.9")
    web = Publisher("web-1", "p", frozenset({own}))
    check = check_ports(facts(Port(8000), listening=(own, other), publishers=(web,), own="web-1"))
    assert check.problem == "8000, for web, is in use by another program"


def test_a_container_of_the_stack_in_the_hosts_network_may_be_who_listens() -> None:
    web = Publisher("web-1", "p", frozenset(), host_network=True)
    check = check_ports(facts(Port(8000), listening=(EVERYWHERE,), publishers=(web,), own="web-1"))
    assert check.result == "warning"
    assert check_ports(facts(Port(8000), listening=(EVERYWHERE,), publishers=(web,))).result == "failed"


@pytest.mark.parametrize(("replicas", "host_network"), [(0, False), (1, True)])
def test_what_publishes_nothing_is_not_checked(replicas: int, host_network: bool) -> None:
    found = facts(Port(8000), listening=(EVERYWHERE,), replicas=replicas, host_network=host_network)
    assert check_ports(found).result == "ok"


def test_two_containers_of_the_stack_cannot_have_the_same_port() -> None:
    check = check_ports(facts(Port(8000), replicas=2))
    assert (check.result, check.problem) == ("failed", "web has 2 containers, which all publish 8000")
    both = {name: Service(name, Image("i"), ports=(Port(53, "udp"),)) for name in ("a", "b")}
    assert check_ports(Facts(services=both)).problem == "53/udp is published by a and by b"
    each = "give each its own port in the Compose file"
    assert check.hint == each
    # Neither fault hides the advice for the other.
    both_ways = check_ports(facts(Port(8000), replicas=2, listening=(EVERYWHERE,)))
    assert both_ways.hint is not None
    assert both_ways.hint.startswith("stop what listens there")
    assert both_ways.hint.endswith(each)
    three = both | {"c": Service("c", Image("i"), ports=(Port(53, "udp"),))}
    assert check_ports(Facts(services=three)).problem.count(" is published by ") == 3
    apart = {
        name: Service(name, Image("i"), ports=(Port(53, "udp", f"10.0.0.{n}"),))
        for n, name in enumerate("ab")
    }
    assert check_ports(Facts(services=apart)).result == "ok"


@pytest.mark.parametrize(
    ("one", "other", "bound"),
    [
        ("", "127.0.0.1", False),
        ("0.0.0.0", "", False),
        ("", "", False),
        ("127.0.0.1", "192.168.7.9", True),
        ("0.0.0.0", "::", True),
        ("::", "::1", False),
    ],
)
def test_one_service_cannot_publish_a_port_twice_on_one_address(one: str, other: str, bound: bool) -> None:
    check = check_ports(facts(Port(80, address=one), Port(80, address=other)))
    assert (check.result == "ok") is bound, check.problem
    assert bound or check.problem.startswith("web publishes 80")
    assert bound or "`ports: !override`" in (check.hint or "")


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("192.168.7.9", True),
        ("127.0.0.53", True),
        ("::", True),
        ("", True),
        ("::1", False),
        ("10.1.1.1", False),
    ],
)
def test_a_port_on_an_address_that_the_host_does_not_have_is_told(address: str, there: bool) -> None:
    found = facts(Port(53, "udp", address))
    known = replace(found, machine=replace(found.machine, addresses=frozenset({"127.0.0.1", "192.168.7.9"})))
    check = check_ports(known)
    assert check.result == ("ok" if there else "failed")
    assert there or f"the host has no address {address}" in check.problem
    # Unknown is not absent; and a network of the stack may bring it.
    assert check_ports(found).result == "ok"
    web = known.services["web"]
    spec = {"ipam": {"config": [{"subnet": "10.1.1.0/24"}]}}
    brought = replace(web, made=(Made("network", "n", "n", spec),))
    assert check_ports(replace(known, services={"web": brought})).result == "ok"
