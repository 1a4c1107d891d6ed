"""Whether a host has what the services of a stack ask for beyond an image: devices, networks, CPUs, and the like."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.asks import Asks, Gpu, asks_of
from deploy_lib.compose.service import Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.offers import Offers
from deploy_lib.release.platform import normal
from deploy_lib.shell import words

_MIB = 1024 * 1024


def check_offers(facts: Facts) -> Iterator[Check]:
    """What the services ask for, and what they are made from; nothing of what none of them asks for."""
    running = [service for service in facts.services.values() if service.replicas]
    asked = {service.name: asks_of(service) for service in running}
    every, offers = asked.values(), facts.machine.offers
    if any(service.builds for service in running) or any(asks.builds for asks in every):
        yield _check_sources(running, asked)
    if any(asks.platform for asks in every):
        yield _check_platform(facts, asked)
    if offers is None:
        return
    if any(service.external for service in running):
        yield from _check_external(running, offers)
    if any(asks.devices for asks in every):
        yield _check_devices(asked, offers)
    if any(asks.gpus for asks in every):
        yield _check_drivers(asked, offers)
    if any(asks.runtime for asks in every):
        yield _check_runtimes(asked, offers)
    if any(asks.cpus or asks.cpuset for asks in every):
        yield _check_cpus(asked, offers)
    if any(asks.memory for asks in every):
        yield _check_memory(asked, offers)


def _check_sources(running: list[Service], asked: dict[str, Asks]) -> Check:
    nameless = [service.name for service in running if not str(service.image)]
    built = [name for name, asks in asked.items() if asks.builds and name not in nameless]
    return judged(
        "images",
        "each service names an image that is built already",
        "; ".join(
            [
                *(f"{name} has no image:, only build:, and nothing is built on a host" for name in nameless),
                *(f"{name} has pull_policy: build, and nothing is built on a host" for name in built),
            ]
        ),
        "build it where you build, push it, and name it beside build: (image: REGISTRY/NAME:TAG)"
        + ("; take pull_policy: build out" if built else ""),
    )


def _check_platform(facts: Facts, asked: dict[str, Asks]) -> Check:
    # An image is pulled for the host's own platform: for one that is named, Compose would not take what is there then.
    other = [
        f"{name} is for {asks.platform}"
        for name, asks in asked.items()
        if asks.platform and normal(asks.platform) != normal(facts.platform)
    ]
    return judged(
        "platforms",
        "each service is for the host's platform",
        f"{'; '.join(other)}, and the host is {facts.platform}" if other and facts.platform else "",
        "deploy it to a host of that platform, or take platform: out of the Compose file",
        found=facts.platform,
    )


def _check_external(running: list[Service], offers: Offers) -> Iterator[Check]:
    needed = sorted({each for service in running for each in service.external})
    there = {"network": offers.networks, "volume": offers.volumes}
    absent = [(kind, name) for kind, name in needed if name not in there[kind]]
    # A node of a swarm lists a network of the swarm's only while a container uses it.
    unseen = [name for kind, name in absent if kind == "network" and offers.swarm]
    missing = [(kind, name) for kind, name in absent if not (kind == "network" and offers.swarm)]
    yield judged(
        "external networks and volumes",
        "those that somebody else makes are there",
        "; ".join(
            f"there is no {kind} {name}, which the Compose file calls external" for kind, name in missing
        ),
        "on the host: " + " && ".join(words("docker", kind, "create", name) for kind, name in missing),
        found=", ".join(name for _, name in needed),
    )
    if unseen:
        create = (
            words("docker", "network", "create", "-d", "overlay", "--attachable", each) for each in unseen
        )
        yield judged(
            "external networks",
            "those that the swarm has are there",
            f"this node of a swarm does not list the network {' and the network '.join(unseen)}, which it would only while a container "
            "uses it",
            f"docker network ls on a manager shows it; otherwise, there: {' && '.join(create)}",
            otherwise="warning",
        )


def _check_devices(asked: dict[str, Asks], offers: Offers) -> Check:
    missing = [
        (name, path) for name, asks in asked.items() for path in asks.devices if path not in offers.devices
    ]
    return judged(
        "devices",
        "the devices of the Compose file are there",
        "; ".join(f"there is no {path}, which {name} gets" for name, path in missing),
        "is it plugged in, and is its driver loaded? On the host: "
        + words("ls", "-l", *sorted({path for _, path in missing})),
    )


def _check_drivers(asked: dict[str, Asks], offers: Offers) -> Check:
    lacking = [
        (name, driver) for name, asks in asked.items() for gpu in asks.gpus if (driver := _lacks(gpu, offers))
    ]
    nvidia = any(driver == "nvidia" for _, driver in lacking)
    return judged(
        "device drivers",
        "the engine has the drivers for reserved devices",
        "; ".join(
            f"{name} reserves a device of the driver {driver}, which this host has not"
            for name, driver in lacking
        ),
        "install the NVIDIA driver and the NVIDIA Container Toolkit there, then: "
        "nvidia-ctk runtime configure --runtime=docker && systemctl restart docker"
        if nvidia
        else "install it there, or leave the reservation out",
        found=", ".join(sorted(offers.drivers)),
    )


def _check_runtimes(asked: dict[str, Asks], offers: Offers) -> Check:
    unknown = [
        (name, asks.runtime)
        for name, asks in asked.items()
        # The name of a shim needs no entry in the engine's configuration.
        if asks.runtime
        and asks.runtime not in offers.runtimes
        and not asks.runtime.startswith("io.containerd.")
    ]
    return judged(
        "runtimes",
        "the engine has the runtimes of the Compose file",
        "; ".join(
            f"{name} asks for the runtime {runtime}, which the engine does not have"
            for name, runtime in unknown
        ),
        f'install it, and add it to "runtimes" in /etc/docker/daemon.json; there are {", ".join(sorted(offers.runtimes))}',
    )


def _lacks(gpu: Gpu, offers: Offers) -> str:
    """The driver that a reservation would need and the host lacks; "" for none."""
    driver = gpu.driver or ("nvidia" if "gpu" in gpu.capabilities else "")
    return driver if driver and driver not in offers.drivers else ""


def _check_cpus(asked: dict[str, Asks], offers: Offers) -> Check:
    many = [
        f"{name} asks for {asks.cpus:g}"
        for name, asks in asked.items()
        if offers.cpus and asks.cpus > offers.cpus
    ]
    many += [
        f"{name} asks for number {asks.cpuset}"
        for name, asks in asked.items()
        if offers.cpus and _highest(asks.cpuset) >= offers.cpus
    ]
    return judged(
        "CPUs",
        "the host has the CPUs that the services ask for",
        f"{'; '.join(many)}; the host has {offers.cpus}, numbered from 0" if many else "",
        "lower cpus: or cpuset: in the Compose file, or give the host more",
        found=str(offers.cpus),
    )


def _check_memory(asked: dict[str, Asks], offers: Offers) -> Check:
    much = [
        f"{name} asks for {asks.memory // _MIB} MiB"
        for name, asks in asked.items()
        if offers.memory and asks.memory > offers.memory
    ]
    return judged(
        "memory limits",
        "the host has the memory that the services ask for",
        f"{'; '.join(much)}; the host has {offers.memory // _MIB}" if much else "",
        "the limit never takes effect: lower it, or give the host more",
        found=f"{offers.memory // _MIB} MiB",
        otherwise="warning",
    )


def _highest(cpuset: str) -> int:
    """The highest CPU that is named, -1 for none."""
    return max(
        (int(each) for each in cpuset.replace("-", ",").split(",") if each.strip().isdecimal()), default=-1
    )
