"""Whether the registries have what is to be deployed, for this host; each fault with the advice that fits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from deploy_lib.checks.check import Check, Result, judged
from deploy_lib.compose.asks import asks_of
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest, login_for
from deploy_lib.release.image import HUB, Image
from deploy_lib.release.platform import runs_on

_HUB_HOST = "registry-1.docker.io"
"""Where Docker Hub's images are."""


def check_images(
    facts: Facts,
    manifests: Mapping[str, Manifest],
    logins: Sequence[Login],
    place: str,
    taken: Mapping[Image, Manifest] | None = None,
) -> Iterator[Check]:
    """That each image exists, for this host's platform.

    Args:
        manifests: by service, what the registries have told this host.
        logins: of deploy.toml.
        place: REGISTRY/OWNER of the project's own images; "" for none.
        taken: by reference, what counts for all hosts: one of them may have been told what this one was not.
    """
    for manifest in dict.fromkeys(manifests.values()):
        name = f"image {manifest.reference.short}"
        proves = f"the registry has it, for {facts.platform}"
        fits = not manifest.platforms or runs_on(facts.platform, manifest.platforms)
        if manifest.digest and fits:
            yield Check(name, proves, found=manifest.digest[:19])
        elif manifest.digest:
            only = (
                f"{manifest.reference} is for {', '.join(manifest.platforms)}, the host is {facts.platform}"
            )
            yield Check(name, proves, "failed", problem=only, hint="build it for this platform")
        else:
            reference = manifest.reference
            known = (taken or {}).get(reference, manifest).digest
            users = (name for name, each in manifests.items() if each == manifest)
            digests = {known or facts.recorded_digest(name, reference) for name in users}
            there = all(each and facts.has(reference.with_digest(each)) for each in digests)
            # An image that was removed from the registry on purpose must not be replaced by the recorded one.
            result: Result = "warning" if there and not is_missing(manifest) else "failed"
            which = "the one that another host was told of" if known else "the recorded one"
            problem = f"{reference}: {manifest.problem}" + (
                f"; {which} is on the host, and is used" if result == "warning" else ""
            )
            login = login_for(logins, manifest.reference)
            own = manifest.reference.below(place)
            yield Check(name, proves, result, problem=problem, hint=advice(manifest, login, own=own))


def check_login(login: Login, manifests: Iterable[Manifest], *, only: bool = True) -> Check:
    """That a registry takes the credentials.

    Args:
        only: there is no other login.
    """
    name = "registry login" if only else f"registry login at {login.host}"
    proves = "the registry accepts this user and password"
    where = f"{login.username} at {login.host}"
    own = [m for m in manifests if login.covers(m.reference)]
    refused = next((m for m in own if m.fault == "refused"), None)
    if refused is not None:
        problem = f"{where} is refused: {refused.problem}"
        return Check(name, proves, "failed", where, problem, advice(refused, login))
    unclear = next((m for m in own if not m.digest and not is_missing(m)), None)
    if unclear is not None:
        problem = f"{login.host}: {unclear.problem}"
        return Check(name, proves, "warning", where, problem, advice(unclear, login))
    return Check(name, proves, found=where if own else f"{where}, not tried: no image of it is asked for")


def check_local(facts: Facts) -> Iterator[Check]:
    """That the host has the images that are in no registry, as `pull_policy: never` says."""
    wanted = {s.name: s.image for s in facts.services.values() if s.replicas and asks_of(s).local}
    if not wanted:
        return
    missing = {name: image for name, image in wanted.items() if facts.on_host(image) is None}
    names = " ".join(sorted({str(image) for image in missing.values()}))
    yield judged(
        "images of the host",
        "those that are never pulled are there",
        "; ".join(
            f"{name} has pull_policy: never, and the host has no {image}" for name, image in missing.items()
        ),
        f"bring it there (docker save {names} | ssh HOST docker load), or take pull_policy: never out",
        found=", ".join(str(image) for image in wanted.values()),
    )


def check_newer(facts: Facts, manifests: Mapping[str, Manifest], refresh: str) -> Iterator[Check]:
    """Whether a tag has moved since it was deployed; no answer says nothing.

    Args:
        manifests: by service that stays as it is recorded, what the registries say of its tag now.
        refresh: the command that takes the newest.
    """
    for manifest in dict.fromkeys(manifests.values()):
        users = sorted(name for name, each in manifests.items() if each == manifest)
        recorded = {name: facts.recorded_digest(name, manifest.reference) for name in users}
        older = {name: digest for name, digest in recorded.items() if digest not in ("", manifest.digest)}
        if manifest.digest and older:
            stays = " and ".join(sorted({digest[:19] for digest in older.values()}))
            yield Check(
                f"newer {manifest.reference.short}",
                "the tag still means the image that is deployed",
                "warning",
                problem=f"the registry has a newer {manifest.reference} ({manifest.digest[:19]}); "
                f"the recorded one ({stays}) stays",
                hint=f"to take it: {refresh} {next(iter(older)) if len(older) == 1 else ''}".rstrip(),
            )


def is_missing(manifest: Manifest) -> bool:
    """Whether a registry says that it does not have this image; a fault on the way there is no such answer."""
    return manifest.fault == "missing"


def advice(manifest: Manifest, login: Login | None, *, own: bool = False) -> str:
    """What to do about an image that cannot be had.

    Args:
        login: that of deploy.toml at its registry; None: the host's own counts, if it has one.
        own: it is one of the project's own images, which has versions.
    """
    host, named = _host(manifest.reference), manifest.reference.registry
    match manifest.fault:
        case "refused" if login is not None:
            return f"does the registry's token of {login.username} at {login.host} have read:packages, and has it expired?"
        case "refused":
            return (
                f"is the name right? Registries refuse unknown images, too. Otherwise log in: on the host (docker login {named}), "
                f'or with [[environments.*.registries]] host = "{named}" in deploy.toml'
            )
        case "missing" if not own:
            return f"is its name right? {host} has no such image"
        case "missing":
            return "has CI built and pushed this tag? Name another version with --tag"
        case "limit" if login is not None:
            return f"{host} limits requests, also those of {login.username}: wait, or give the engine a mirror of it"
        case "limit":
            return (
                f"{named} limits requests without a login: wait, or add a login to deploy.toml: "
                f'[[environments.*.registries]] host = "{named}"'
            )
        case "authority":
            return f"put the certificate of the registry's CA on the host: /etc/docker/certs.d/{host}/ca.crt"
        case "expired":
            return f"renew the certificate of {host}; is the host's clock right? (date)"
        case "misnamed":
            return f"the certificate of {host} is for another name: use that one, or give it one for {host}"
        case "plain":
            return f'give {host} a certificate, or add it to "insecure-registries" in /etc/docker/daemon.json of the host'
        case "name":
            return f"does the host's DNS know {host}? On the host: getent hosts {host.partition(':')[0]}"
        case "proxy":
            return f"does the engine's proxy answer, and let {host} through? On the host: systemctl show docker --property Environment"
        case "client":
            return f"it wants a certificate of the engine's own: client.cert and client.key in /etc/docker/certs.d/{host} of the host"
        case "down":
            return f"{host} itself fails: try again later"
        case _:
            return f"can the host reach the registry? On the host: curl -v https://{host}/v2/"


def _host(image: Image) -> str:
    return _HUB_HOST if image.registry == HUB else image.registry
