"""Each construct of the Compose specification, as an example, and what becomes of it; docs/compose.md has a row for each of these.

In the examples `web` stands for the service: a test gives each its own name, and calls networks, volumes and the rest after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from tests import ROOT

Verdict = Literal["taken", "refused", "ignored", "Compose", "Engine"]

SPECIFICATION = (ROOT / "tests/compose-spec.txt").read_text().split()
"""The keys of the specification's schema, as Compose 2.40.3 has it: `services.ports.target`."""

IMAGE = "python:3.13-slim-trixie"


@dataclass(frozen=True)
class Case:
    """An example of a construct.

    Attributes:
        verdict: "taken": with every promise kept; "refused": by preflight; "ignored": taken, and a warning of preflight says that
            Compose does nothing with it; "Compose": that itself refuses it, in the version of the lab's hosts; "Engine": taken, and
            some hosts cannot do it: the switch goes back.
        service: keys of the service.
        top: what stands beside the services.
        line: what is printed.
        later: what preflight says where Compose is newer and takes it; "" where all is well then.
        group: those of one group are one service, unless they are refused.
        seen: where `docker inspect` has it, and as what.
        inside: a command of the container, and what it prints.
    """

    verdict: Verdict
    service: str = ""
    top: str = ""
    line: str = ""
    group: str = "main"
    seen: tuple[str, Any] | None = None
    inside: tuple[str, str] | None = None
    later: str = ""

    def named(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The service's keys and what stands beside the services, for a service of this name."""

        def read(text: str) -> dict[str, Any]:
            return yaml.safe_load("{" + re.sub(r"\bweb\b", name, text) + "}") or {}

        return read(self.service), read(self.top)

    def said(self, name: str) -> str:
        """The line for a service of this name."""
        return re.sub(r"\bweb\b", name, self.line)


def taken(
    service: str = "",
    top: str = "",
    *,
    group: str = "main",
    seen: tuple[str, Any] | None = None,
    inside: tuple[str, str] | None = None,
) -> Case:
    return Case("taken", service, top, group=group, seen=seen, inside=inside)


def refused(line: str, service: str = "", top: str = "") -> Case:
    return Case("refused", service, top, line)


def ignored(line: str, service: str = "", top: str = "") -> Case:
    return Case("ignored", service, top, line)


def by_compose(line: str, service: str = "", top: str = "", later: str = "") -> Case:
    return Case("Compose", service, top, line, later=later)


def by_engine(service: str) -> Case:
    return Case("Engine", service)


def _swarm(key: str, service: str) -> Case:
    return ignored(f"deploy.{key} of web (only Swarm has it)", service)


CASES: Mapping[str, Case] = {
    "version": taken(top='version: "3.9"'),
    "name": taken(),
    "include": taken(),
    "include.path, env_file, project_directory": taken(),
    "services": taken(),
    "models": by_compose("Additional property models is not allowed", "models: [web]", "models: {web: {model: ai/m}}", later="web uses models: web, which Docker Model Runner pulls and serves: no rollback would bring an earlier one back"),
    "models.name, model, context_size, runtime_flags": by_compose("Additional property models is not allowed", "models: [web]", "models: {web: {model: ai/m, context_size: 1}}", later="web uses models: web, which Docker Model Runner pulls and serves: no rollback would bring an earlier one back"),
    # --- services ---
    "services.annotations": taken("annotations: {a.b: c}", seen=("HostConfig.Annotations", {"a.b": "c"})),
    "services.attach": taken("attach: false"),
    "services.blkio_config": taken("blkio_config: {weight: 300}"),
    "services.build beside image": taken("build: {context: ./nowhere, target: x, args: {A: b}}"),
    "services.build without image": refused("web has no image:, only build:, and nothing is built on a host", "image: null, build: ."),
    "services.cap_add": taken("cap_add: [NET_ADMIN]", seen=("HostConfig.CapAdd", ["NET_ADMIN"])),
    "services.cap_drop": taken("cap_drop: [MKNOD]", seen=("HostConfig.CapDrop", ["MKNOD"])),
    "services.cgroup": taken("cgroup: host", seen=("HostConfig.CgroupnsMode", "host")),
    "services.cgroup_parent": taken("cgroup_parent: /some", seen=("HostConfig.CgroupParent", "/some")),
    "services.command": taken('command: [sleep, "1001"]', seen=("Config.Cmd", ["sleep", "1001"])),
    "services.configs": taken("configs: [web-short]", "configs: {web-short: {content: short}}", inside=("cat /main-short", "short")),
    "services.configs.source, target, uid, gid, mode": taken(
        'configs: [{source: web-long, target: /etc/long, uid: "5", gid: "6", mode: 0400}]',
        "configs: {web-long: {content: long}}",
        inside=("stat -c %u:%g:%a /etc/long", "5:6:400"),
    ),
    "services.configs.mode, uid, gid of a file": ignored(
        "mode of the config web-f of web (its file is mounted as it lies there)",
        "configs: [{source: web-f, mode: 0400}]", "configs: {web-f: {file: ./one.txt}}",
    ),
    "services.container_name": taken("container_name: constructs-main", seen=("Name", "/constructs-main")),
    "services.container_name of another's container": refused(
        "web has container_name: constructs-other, and there is a container that no project has with this name", "container_name: constructs-other"
    ),
    "services.cpu_count, cpu_percent": ignored("cpu_count of web (only Windows has it)", "cpu_count: 1"),
    "services.cpu_shares": taken("cpu_shares: 5", seen=("HostConfig.CpuShares", 5)),
    "services.cpu_quota": taken("cpu_quota: 50000", seen=("HostConfig.CpuQuota", 50000)),
    "services.cpu_period": taken("cpu_period: 100000", seen=("HostConfig.CpuPeriod", 100000)),
    "services.cpu_rt_period, cpu_rt_runtime": by_engine("cpu_rt_period: 100000, cpu_rt_runtime: 5000"),
    "services.cpus": taken("cpus: 0.5", group="other", seen=("HostConfig.NanoCpus", 500000000)),
    "services.cpus that the host has not": refused("web asks for 999", "cpus: 999"),
    "services.cpuset": taken('cpuset: "0"', seen=("HostConfig.CpusetCpus", "0")),
    "services.credential_spec": ignored("credential_spec of web (only Windows has it)", "credential_spec: {file: spec.json}"),
    "services.depends_on": taken("depends_on: [base]"),
    "services.depends_on.condition, restart, required": taken(
        "depends_on: {base: {condition: service_started, restart: true}, maybe: {condition: service_started, required: false}}", group="other"
    ),
    "services.deploy.mode": _swarm("mode", "deploy: {mode: global}"),
    "services.deploy.endpoint_mode": _swarm("endpoint_mode", "deploy: {endpoint_mode: vip}"),
    "services.deploy.labels": _swarm("labels", "deploy: {labels: {a: b}}"),
    "services.deploy.update_config": _swarm("update_config", "deploy: {update_config: {order: start-first}}"),
    "services.deploy.rollback_config": _swarm("rollback_config", "deploy: {rollback_config: {parallelism: 1}}"),
    "services.deploy.placement": _swarm("placement", "deploy: {placement: {constraints: [node.role==manager]}}"),
    "services.deploy.replicas": taken("deploy: {replicas: 2}", group="two"),
    "services.deploy.resources.limits": taken(
        "deploy: {resources: {limits: {cpus: '0.5', memory: 50m, pids: 60}}}", group="two", seen=("HostConfig.Memory", 50 << 20)
    ),
    "services.deploy.resources.reservations.memory": taken(
        "deploy: {resources: {reservations: {memory: 20m}}}", group="two", seen=("HostConfig.MemoryReservation", 20 << 20)
    ),
    "services.deploy.resources.reservations.cpus": _swarm("resources.reservations.cpus", "deploy: {resources: {reservations: {cpus: '0.1'}}}"),
    "services.deploy.resources.reservations.generic_resources": _swarm(
        "resources.reservations.generic_resources",
        "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: SSD, value: 1}}]}}}",
    ),
    "services.deploy.resources.reservations.devices that the host has not": refused(
        "web reserves a device of the driver nvidia, which this host has not",
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}}",
    ),
    "services.deploy.restart_policy": taken(
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}",
        group="two",
        seen=("HostConfig.RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
    ),
    "services.deploy.restart_policy.delay, window": _swarm("restart_policy.delay", "deploy: {restart_policy: {condition: any, delay: 1s}}"),
    "services.develop": taken("develop: {watch: [{path: ./src, action: sync, target: /src}]}"),
    "services.device_cgroup_rules": taken('device_cgroup_rules: ["c 1:3 rwm"]', seen=("HostConfig.DeviceCgroupRules", ["c 1:3 rwm"])),
    "services.devices": taken(
        'devices: ["/dev/null:/dev/none:r"]',
        seen=("HostConfig.Devices", [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/none", "CgroupPermissions": "r"}]),
    ),
    "services.devices that the host has not": refused("there is no /dev/nowhere, which web gets", 'devices: ["/dev/nowhere:/dev/x"]'),
    "services.dns": taken("dns: 1.1.1.1", seen=("HostConfig.Dns", ["1.1.1.1"])),
    "services.dns_opt": taken("dns_opt: [ndots:1]", seen=("HostConfig.DnsOptions", ["ndots:1"])),
    "services.dns_search": taken("dns_search: [a.example]", seen=("HostConfig.DnsSearch", ["a.example"])),
    "services.domainname": taken("domainname: d.example", seen=("Config.Domainname", "d.example")),
    "services.entrypoint": taken("entrypoint: [env]", seen=("Config.Entrypoint", ["env"])),
    "services.env_file": taken("env_file: [one.env, {path: none.env, required: false}]", inside=('echo "$ONE"', "1")),
    "services.env_file.format": by_compose('unsupported env_file format "raw"', "env_file: [{path: one.env, format: raw}]"),
    "services.environment": taken("environment: {A: b}", inside=('echo "$A"', "b")),
    "services.environment without a value": refused("NOWHERE has no value", "environment: [NOWHERE]"),
    "services.expose": taken('expose: ["81/tcp"]', seen=("Config.ExposedPorts", {"81/tcp": {}})),
    "services.extends": taken("extends: {file: common/common.yml, service: common}", inside=('echo "$COMMON $(cat /common)"', "yes one")),
    "services.external_links": taken("external_links: ['constructs-other:friend']"),
    "services.external_links without its container": ignored("web calls constructs-nobody, and there is no such container", "external_links: ['constructs-nobody:x']"),
    "services.extra_hosts": taken('extra_hosts: ["friend.example:10.0.0.1"]', seen=("HostConfig.ExtraHosts", ["friend.example:10.0.0.1"])),
    "services.gpus": refused("gpus of web needs Compose 2.30.0", "gpus: all"),
    "services.group_add": taken('group_add: ["5"]', seen=("HostConfig.GroupAdd", ["5"])),
    "services.healthcheck": taken(
        "healthcheck: {test: [CMD, 'true'], interval: 2s, timeout: 1s, retries: 3, start_period: 5s, start_interval: 1s}",
        seen=("State.Health.Status", "healthy"),
    ),
    "services.healthcheck.disable": taken("healthcheck: {disable: true}", group="other", seen=("Config.Healthcheck.Test", ["NONE"])),
    "services.hostname": taken("hostname: hn", seen=("Config.Hostname", "hn")),
    "services.image": taken(),
    "services.init": taken("init: true", seen=("HostConfig.Init", True)),
    "services.ipc": taken("ipc: 'service:base'", group="guest"),
    "services.isolation": refused("web has isolation: hyperv, which only Windows has", "isolation: hyperv"),
    "services.label_file": taken("label_file: [labels.txt]", seen=("Config.Labels.from-a-file", "yes")),
    "services.labels": taken("labels: {own: 'yes'}", seen=("Config.Labels.own", "yes")),
    "services.links": taken("links: ['base:b']", group="two"),
    "services.logging": taken("logging: {driver: json-file, options: {max-size: 1m}}", seen=("HostConfig.LogConfig.Config", {"max-size": "1m"})),
    "services.logging.driver that the engine has not": refused("the logging of web has the driver nowhere, which the engine does not have", "logging: {driver: nowhere}"),
    "services.mac_address": refused("mac_address of web needs Compose 2.32.0", 'mac_address: "02:42:ac:11:65:44"'),
    "services.mem_limit": taken("mem_limit: 60m", seen=("HostConfig.Memory", 60 << 20)),
    "services.mem_reservation": taken("mem_reservation: 20m", seen=("HostConfig.MemoryReservation", 20 << 20)),
    "services.mem_swappiness": taken("mem_swappiness: 10"),
    "services.memswap_limit": taken("memswap_limit: 80m", seen=("HostConfig.MemorySwap", 80 << 20)),
    "services.models": by_compose("Additional property models is not allowed", "models: {web: {endpoint_var: U, model_var: M}}", "models: {web: {model: ai/m}}", later="web uses models: web, which Docker Model Runner pulls and serves: no rollback would bring an earlier one back"),
    "services.network_mode": taken("network_mode: 'service:base'", group="guest"),
    "services.network_mode, ipc, pid, volumes_from of a container that is not there": refused(
        "web is part of the container constructs-nobody, which is not there", "network_mode: 'container:constructs-nobody'"
    ),
    "services.network_mode, ipc, pid, volumes_from of a service, where it ends": refused(
        "web ends when it has done its work, and is part of base (network_mode, ipc, pid or volumes_from)", "network_mode: 'service:base', restart: 'no'"
    ),
    "services.networks": taken("networks: {default: null}"),
    "services.networks.aliases": taken("networks: {default: {aliases: [pal]}}", inside=("getent hosts pal | wc -l", "1")),
    "services.networks.driver_opts": refused("driver_opts of web in the network default needs Compose 2.27.1", "networks: {default: {driver_opts: {a: b}}}"),
    "services.networks.gw_priority": refused("gw_priority of a service's network needs Compose 2.33.1, Engine 28.0", "networks: {default: {gw_priority: 1}}"),
    "services.networks.interface_name": by_compose("Additional property interface_name is not allowed", "networks: {default: {interface_name: e0}}"),
    "services.networks.ipv4_address": taken("networks: {web-fixed: {ipv4_address: 10.231.7.9}}", "networks: {web-fixed: {ipam: {config: [{subnet: 10.231.7.0/24}]}}}"),
    "services.networks.ipv6_address": taken(
        "networks: {web-six: {ipv6_address: 'fd00:1:2::9'}}", "networks: {web-six: {enable_ipv6: true, ipam: {config: [{subnet: 10.231.6.0/24}, {subnet: 'fd00:1:2::/64'}]}}}", group="six"
    ),
    "services.networks.link_local_ips": taken("networks: {default: {link_local_ips: [169.254.9.9]}}"),
    "services.networks.mac_address": taken("networks: {default: {mac_address: '02:42:ac:11:65:43'}}", inside=("cat /sys/class/net/*/address | grep -c 02:42:ac:11:65:43", "1")),
    "services.networks.priority": taken("networks: {default: {priority: 4}}"),
    "services.oom_kill_disable": taken("oom_kill_disable: false"),
    "services.oom_score_adj": taken("oom_score_adj: 100", seen=("HostConfig.OomScoreAdj", 100)),
    "services.pid": taken("pid: 'service:base'", group="guest"),
    "services.pids_limit": taken("pids_limit: 50", seen=("HostConfig.PidsLimit", 50)),
    "services.platform": taken("platform: linux/amd64"),
    "services.platform of another kind of host": refused("web is for linux/s390x", "platform: linux/s390x"),
    "services.ports": taken('ports: ["127.0.0.1:18971:81"]', seen=("HostConfig.PortBindings", {"81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18971"}]})),
    "services.ports in the long form": taken(
        "ports: [{target: 82, published: '18972', host_ip: 127.0.0.1, protocol: udp, mode: host, name: x, app_protocol: http}]",
        group="other",
        seen=("HostConfig.PortBindings", {"82/udp": [{"HostIp": "127.0.0.1", "HostPort": "18972"}]}),
    ),
    "services.post_start": refused("post_start of web needs Compose 2.30.0", "post_start: [{command: ['true']}]"),
    "services.pre_stop": refused("pre_stop of web needs Compose 2.30.0", "pre_stop: [{command: ['true']}]"),
    "services.privileged": taken("privileged: false", seen=("HostConfig.Privileged", False)),
    "services.profiles": taken("profiles: [chosen]"),
    "services.provider": by_compose("Additional property provider is not allowed", "provider: {type: cloud}",
        later="web has provider: cloud, a program of the host in a container's place: it could be neither proven nor taken back",
    ),
    "services.pull_policy": taken("pull_policy: missing"),
    "services.pull_policy build": refused("web has pull_policy: build, and nothing is built on a host", "pull_policy: build, build: ."),
    "services.pull_refresh_after": by_compose("Additional property pull_refresh_after is not allowed", "pull_refresh_after: 1d"),
    "services.read_only": taken("read_only: true", group="other", seen=("HostConfig.ReadonlyRootfs", True)),
    "services.read_only with a config that has content": refused(
        "web is read_only, and Compose cannot write the config web-c into it", "read_only: true, configs: [web-c]", "configs: {web-c: {content: a}}"
    ),
    "services.read_only with a secret": refused(
        "web is read_only, and Compose cannot write the secret web-s into it", "read_only: true, secrets: [web-s]", "secrets: {web-s: {environment: TOKEN}}"
    ),
    "services.restart": taken("restart: unless-stopped", seen=("HostConfig.RestartPolicy.Name", "unless-stopped")),
    "services.runtime": taken("runtime: runc", seen=("HostConfig.Runtime", "runc")),
    "services.runtime that the engine has not": refused("web asks for the runtime nowhere, which the engine does not have", "runtime: nowhere"),
    "services.scale": taken("scale: 2", group="two"),
    "services.scale beside container_name": by_compose("container name must be unique", "scale: 2, container_name: xx"),
    "services.secrets": taken("secrets: [web-short]", "secrets: {web-short: {environment: TOKEN}}", inside=("wc -c < /run/secrets/main-short", "32")),
    "services.secrets.source, target, uid, gid, mode": taken(
        'secrets: [{source: web-long, target: /etc/token, uid: "7", gid: "8", mode: 0400}]',
        "secrets: {web-long: {environment: TOKEN}}",
        inside=("stat -c %u:%g:%a:%s /etc/token", "7:8:400:32"),
    ),
    "services.secrets, configs with uid, gid or mode, beside user: UID:GID": Case(
        "Engine", 'user: "7:8", secrets: [{source: web-s, uid: "7"}]', "secrets: {web-s: {environment: TOKEN}}"
    ),
    "services.secrets, configs below a tmpfs": refused(
        "the secret web-s of web belongs at /run/secrets/web-s, and a tmpfs at /run would hide it", "tmpfs: ['/run:size=1m'], secrets: [web-s]", "secrets: {web-s: {environment: TOKEN}}"
    ),
    "services.secrets, configs below a volume": refused(
        "the config web-c of web belongs at /data/c, and would be written into the bind at /data, where it stays",
        "volumes: ['./dir:/data'], configs: [{source: web-c, target: /data/c}]", "configs: {web-c: {content: a}}",
    ),
    "services.security_opt": taken("security_opt: ['no-new-privileges:true', 'seccomp:./seccomp.json']", group="other"),
    "services.security_opt seccomp that is not there": refused("the seccomp profile of web is /nowhere/p.json, which is not there", "security_opt: ['seccomp:/nowhere/p.json']"),
    "services.shm_size": taken("shm_size: 1m", seen=("HostConfig.ShmSize", 1 << 20)),
    "services.stdin_open": taken("stdin_open: true", seen=("Config.OpenStdin", True)),
    "services.stop_grace_period": taken("stop_grace_period: 1s", seen=("Config.StopTimeout", 1)),
    "services.stop_signal": taken("stop_signal: SIGKILL", seen=("Config.StopSignal", "SIGKILL")),
    "services.storage_opt": by_engine("storage_opt: {size: 1G}"),
    "services.sysctls": taken("sysctls: {net.core.somaxconn: 100}", seen=("HostConfig.Sysctls", {"net.core.somaxconn": "100"})),
    "services.tmpfs": taken("tmpfs: [/scratch]", seen=("HostConfig.Tmpfs", {"/scratch": ""})),
    "services.tty": taken("tty: true", seen=("Config.Tty", True)),
    "services.ulimits": taken("ulimits: {nproc: 100, nofile: {soft: 100, hard: 200}}", inside=("ulimit -n", "100")),
    "services.use_api_socket": by_compose("Additional property use_api_socket is not allowed", "use_api_socket: true",
        later="web has use_api_socket, which puts the host's own registry logins into its container",
    ),
    "services.user": taken('user: "0"', group="other", seen=("Config.User", "0")),
    "services.userns_mode": taken("userns_mode: host", seen=("HostConfig.UsernsMode", "host")),
    "services.uts": taken("uts: host", group="other", seen=("HostConfig.UTSMode", "host")),
    "services.volumes": taken("volumes: ['./one.txt:/one.txt:ro', 'web-short:/short']", "volumes: {web-short: {}}", inside=("cat /one.txt", "one")),
    "services.volumes of the type bind": taken(
        "volumes: [{type: bind, source: ./dir, target: /dir, read_only: true, consistency: cached, bind: {propagation: rslave, create_host_path: false}}]",
        inside=("cat /dir/two.txt", "two"),
    ),
    "services.volumes of the type bind, absent on the host": refused("web mounts /nowhere/at/all, which is not there", "volumes: [{type: bind, source: /nowhere/at/all, target: /x}]"),
    "services.volumes.bind.recursive": refused("recursive of /etc in web needs Compose 2.30.0", "volumes: [{type: bind, source: /etc, target: /x, bind: {recursive: disabled}}]"),
    "services.volumes.bind.selinux": taken("volumes: [{type: bind, source: ./dir, target: /z, bind: {selinux: z, create_host_path: true}}]"),
    "services.volumes.bind.selinux without create_host_path": ignored(
        "selinux: z of /etc in web (Compose takes it with create_host_path: true)", "volumes: [{type: bind, source: /etc, target: /x, bind: {selinux: z}}]"
    ),
    "services.volumes of the type volume": taken("volumes: [{type: volume, source: web-v, target: /v, volume: {nocopy: true}}]", "volumes: {web-v: {}}"),
    "services.volumes.volume.labels": by_compose("Additional property labels is not allowed", "volumes: [{type: volume, target: /x, volume: {labels: {a: b}}}]"),
    "services.volumes.volume.subpath": by_engine("volumes: [{type: volume, source: base-data, target: /x, volume: {subpath: nowhere}}]"),
    "services.volumes of the type tmpfs": taken("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1000000, mode: 01777}}]", inside=("stat -c %a /t", "1777")),
    "services.volumes of the type image": refused(
        "web mounts the image busybox, which is neither pulled nor pinned: no rollback would bring it back", "volumes: [{type: image, source: busybox, target: /x}]"
    ),
    "services.volumes of the type cluster": refused("web has a mount of the type cluster, which only Swarm has", "volumes: [{type: cluster, source: web-c, target: /x}]", "volumes: {web-c: {}}"),
    "services.volumes of the type npipe": refused("web has a mount of the type npipe, which only Windows has", "volumes: [{type: npipe, source: /x, target: /x}]"),
    "services.volumes.image.subpath": by_compose("Additional property image is not allowed", "volumes: [{type: image, source: x, target: /x, image: {subpath: a}}]", later="web mounts the image x, which is neither pulled nor pinned"),
    "services.volumes_from": taken("volumes_from: [base]", group="guest", inside=("ls /data", "")),
    "services.volumes_from, read-only": ignored("ro of base:ro in volumes_from of web (Compose mounts it read-write)", "volumes_from: ['base:ro']"),
    "services.working_dir": taken("working_dir: /srv", seen=("Config.WorkingDir", "/srv")),
    "services.command, labels, healthcheck and other keys with a secret": refused(
        "a secret would stand in services.web.command (${TOKEN})", "command: [sleep, '${TOKEN}']"
    ),
    # --- networks ---
    "networks": taken(),
    "networks.name": taken("networks: [web-named]", "networks: {web-named: {name: constructs-named}}"),
    "networks.driver": taken("networks: [web-driver]", "networks: {web-driver: {driver: bridge}}"),
    "networks.driver that the engine has not": refused("the network web-n has the driver nowhere, which the engine does not have", "networks: [web-n]", "networks: {web-n: {driver: nowhere}}"),
    "networks.driver_opts": taken("networks: [web-opts]", "networks: {web-opts: {driver_opts: {com.docker.network.driver.mtu: 1400}}}"),
    "networks.ipam": taken(
        "networks: [web-ipam]",
        "networks: {web-ipam: {ipam: {driver: default, config: [{subnet: 10.231.5.0/24, ip_range: 10.231.5.128/25, gateway: 10.231.5.1, aux_addresses: {a: 10.231.5.7}}]}}}",
    ),
    "networks.external": taken("networks: [web-ext]", "networks: {web-ext: {external: true, name: constructs-network}}"),
    "networks.external that is not there": refused("there is no network constructs-nowhere, which the Compose file calls external", "networks: [web-n]", "networks: {web-n: {external: true, name: constructs-nowhere}}"),
    "networks.internal": taken("networks: [web-inner]", "networks: {web-inner: {internal: true}}"),
    "networks.enable_ipv4": refused("enable_ipv4 of the network web-n needs Compose 2.33.1, Engine 28.0", "networks: [web-n]", "networks: {web-n: {enable_ipv4: false}}"),
    "networks.enable_ipv6": taken("networks: [web-no6]", "networks: {web-no6: {enable_ipv6: false}}"),
    "networks.attachable": taken("networks: [web-open]", "networks: {web-open: {attachable: true}}"),
    "networks.labels": taken("networks: [web-lab]", "networks: {web-lab: {labels: {a: b}}}"),
    # --- volumes ---
    "volumes": taken(),
    "volumes.name": taken("volumes: ['web-named:/named']", "volumes: {web-named: {name: constructs-named}}"),
    "volumes.driver": taken("volumes: ['web-driver:/driver']", "volumes: {web-driver: {driver: local}}"),
    "volumes.driver that the engine has not": refused("the volume web-v has the driver nowhere, which the engine does not have", "volumes: ['web-v:/x']", "volumes: {web-v: {driver: nowhere}}"),
    "volumes.driver_opts": taken("volumes: ['web-opts:/opts']", "volumes: {web-opts: {driver_opts: {type: tmpfs, device: tmpfs, o: size=100k}}}", inside=("stat -f -c %T /opts", "tmpfs")),
    "volumes.driver_opts of the type none, o: bind": taken(
        "volumes: ['web-here:/here']", "volumes: {web-here: {driver_opts: {type: none, o: bind, device: '${PWD}/dir'}}}", inside=("cat /here/two.txt", "two")
    ),
    "volumes.driver_opts with a relative device": refused(
        "the volume web-v has the device ./dir, which the engine takes from its own working directory", "volumes: ['web-v:/x']", "volumes: {web-v: {driver_opts: {type: none, o: bind, device: ./dir}}}"
    ),
    "volumes.driver_opts with a device that is not there": refused(
        "the volume web-v is /nowhere/else, which is not there", "volumes: ['web-v:/x']", "volumes: {web-v: {driver_opts: {type: none, o: bind, device: /nowhere/else}}}"
    ),
    "volumes.external": taken("volumes: ['web-ext:/ext']", "volumes: {web-ext: {external: true, name: constructs-volume}}"),
    "volumes.external that is not there": refused("there is no volume constructs-nowhere, which the Compose file calls external", "volumes: ['web-v:/x']", "volumes: {web-v: {external: true, name: constructs-nowhere}}"),
    "volumes.labels": taken("volumes: ['web-lab:/lab']", "volumes: {web-lab: {labels: {a: b}}}"),
    # --- configs ---
    "configs": taken(),
    "configs.name": taken("configs: [web-named]", "configs: {web-named: {name: other, content: named}}", inside=("cat /main-named", "named")),
    "configs.content": taken("configs: [web-said]", "configs: {web-said: {content: 'said ${SAID}'}}", inside=("cat /main-said", "said so")),
    "configs.environment": refused("web gets the config web-c by `environment: SAID`, whose value no rendering shows", "configs: [web-c]", "configs: {web-c: {environment: SAID}}"),
    "configs.file": taken("configs: [web-file]", "configs: {web-file: {file: ./one.txt}}", inside=("cat /main-file", "one")),
    "configs.external": refused("the config web-c of web is external, which only Swarm has", "configs: [web-c]", "configs: {web-c: {external: true}}"),
    "configs.labels": taken("configs: [web-lab]", "configs: {web-lab: {content: a, labels: {a: b}}}"),
    "configs.template_driver": refused("the config web-c of web has template_driver: golang, which only Swarm has", "configs: [web-c]", "configs: {web-c: {file: ./one.txt, template_driver: golang}}"),
    # --- secrets ---
    "secrets": taken(),
    "secrets.name": taken("secrets: [web-named]", "secrets: {web-named: {name: other, environment: TOKEN}}"),
    "secrets.environment": taken("secrets: [web-env]", "secrets: {web-env: {environment: TOKEN}}", inside=("wc -c < /run/secrets/main-env", "32")),
    "secrets.file": refused("web gets web-s, which has no `environment:` as its source", "secrets: [web-s]", "secrets: {web-s: {file: /etc/hostname}}"),
    "secrets.external": refused("web gets web-s, which has no `environment:` as its source", "secrets: [web-s]", "secrets: {web-s: {external: true}}"),
    "secrets.labels": taken("secrets: [web-lab]", "secrets: {web-lab: {environment: TOKEN, labels: {a: b}}}"),
    "secrets.driver, driver_opts": refused("the secret web-s of web has driver: some, which only Swarm has", "secrets: [web-s]", "secrets: {web-s: {environment: TOKEN, driver: some}}"),
    "secrets.template_driver": refused("the secret web-s of web has template_driver: golang, which only Swarm has", "secrets: [web-s]", "secrets: {web-s: {environment: TOKEN, template_driver: golang}}"),
}  # fmt: skip


def keys(construct: str) -> Iterator[str]:
    """The keys of the specification that a case is about: `a.b.c, d` means `a.b.c` and `a.b.d`."""
    first, _, _ = construct.partition(" of a ")
    words = [re.split(r"\s", each.strip())[0] for each in first.split(",")]
    base = words[0].rpartition(".")[0]
    yield words[0]
    for word in words[1:]:
        if f"{base}.{word}" in SPECIFICATION:
            yield f"{base}.{word}"


def merged(one: Any, other: Any) -> Any:
    """Two examples as one: lists one after the other, mappings key by key, and of two values the second one."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            **one,
            **{key: merged(one[key], value) if key in one else value for key, value in other.items()},
        }
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    if isinstance(one, list) and isinstance(other, dict):
        return merged(dict.fromkeys(one), other)
    if isinstance(one, dict) and isinstance(other, list):
        return merged(one, dict.fromkeys(other))
    return other


def lacking(specification: list[str]) -> list[str]:
    """The keys of a specification that no case is about, neither by itself nor with what it is part of."""
    told = {key for construct in CASES for key in keys(construct)}
    deep = [key for key in told if "." in key]

    def is_told(path: str) -> bool:
        inner = [each for each in specification if each.startswith(f"{path}.")]
        if path in told or any(path.startswith(f"{key}.") for key in deep):
            return True
        return bool(inner) and all(map(is_told, inner))

    return [path for path in specification if not is_told(path)]
