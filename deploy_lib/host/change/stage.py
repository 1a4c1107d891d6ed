"""Staging: a release's files and images onto a host, beside what runs, logged in at each registry with credentials that never
rest there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.errors import CommandError, RemoteError
from deploy_lib.host.change.step import Step, script_of
from deploy_lib.host.files import pack
from deploy_lib.host.look.registry import Login, login_for
from deploy_lib.host.stack import HostStack
from deploy_lib.release.image import Image
from deploy_lib.shell import IN_MEMORY, ScriptExit, quote, words
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

KEY = "FINGERPRINT_KEY"
PASSWORD = "REGISTRY_PASSWORD"  # noqa: S105 - a variable's name
TIMEOUT = 1800.0


class Staging(Struct, frozen=True):
    """What a host still lacks.

    Attributes:
        uploads: content by its SHA-256.
        saves: SHA-256 by path, of files in the stack's directory that a rollback would need.
        pulls: images, pinned.
        protect: images that get a local tag, so that `docker image prune` does not remove them.
        unnamed: those of them that the engine may know by the name of another repository alone: it takes what has the same content
            only by that name, so they are pulled once more where it does.
        keep: images of earlier releases that get one where they can.
        recover: images of the release before that somebody has removed: pulled again where possible, because without them the
            host could not go back.
    """

    uploads: Mapping[str, bytes] = field(default_factory=dict)
    saves: Mapping[str, str] = field(default_factory=dict)
    pulls: Sequence[Image] = ()
    protect: Sequence[Image] = ()
    unnamed: Sequence[Image] = ()
    keep: Sequence[Image] = ()
    recover: Sequence[Image] = ()


def stage(session: Session, stack: HostStack, staging: Staging, logins: Sequence[Login], key: str) -> None:
    """Brings a release's files and images to the host; nothing that runs is touched.

    Args:
        logins: those are used in whose registry one of the images is.
        key: the key of the secrets' fingerprints, written when the host has none yet.

    Raises:
        RemoteError: no space, no permission, a refused login, or an image that cannot be pulled.
    """
    needed = needed_logins(staging, logins)
    try:
        session.run(
            staging_script(stack, staging, needed),
            env={KEY: key, **passwords(needed)},
            stdin=pack(staging.uploads),
            timeout=TIMEOUT,
            step="pull" if staging.pulls or staging.recover else "staging files",
        )
    except CommandError as error:
        if error.code != ScriptExit.LOGIN_FAILED:
            raise
        _, _, said = error.what.partition("\n")
        raise RemoteError(
            said.strip(),
            step="pull",
            hint="does the registry answer, and is its token still good?",
        ) from None


def needed_logins(staging: Staging, logins: Sequence[Login]) -> list[Login]:
    """The logins in whose registries one of the images is."""
    return logins_for((*staging.pulls, *staging.unnamed, *staging.recover), logins)


def logins_for(images: Sequence[Image], logins: Sequence[Login]) -> list[Login]:
    """The logins in whose registries one of the images is, with the registry's name as those images have it."""
    found: dict[str, Login] = {}
    for image in images:
        if (login := login_for(logins, image)) is not None:
            # Docker looks a login up by the very name, capital letters included.
            found[image.host] = replace(login, host=image.host)
    return list(found.values())


def passwords(logins: Sequence[Login]) -> dict[str, str]:
    """The variables that `log_in` reads."""
    return {_variable(number): login.password.reveal() for number, login in enumerate(logins)}


def _variable(number: int) -> str:
    return f"{PASSWORD}_{number + 1}" if number else PASSWORD


def log_in(logins: Sequence[Login]) -> str:
    """Shell text that logs in with a configuration in `$t/login`, which is memory and gone with the script.

    The host's own configuration stays as it is, and in use: also its Docker context, such as that of a rootless engine. The
    passwords are read from the environment, and removed from it.
    """
    if not logins:
        return f"unset {PASSWORD}"
    # With an entry of its own, Docker does not turn to the host's credential store, where the login would stay.
    entries = json.dumps({login.host: {} for login in logins})
    lines = [
        'mkdir "$t/login"',
        "own=${DOCKER_CONFIG:-$HOME/.docker} context=",
        'for x in cli-plugins contexts; do [ ! -d "$own/$x" ] || ln -s "$own/$x" "$t/login/$x"; done',
        # Docker's own answer counts: its variables may choose another context than its configuration.
        '[ ! -d "$own/contexts" ] || context=$(docker context inspect --format "{{.Name}}")',
        'printf \'{"auths":%s,"currentContext":"%s"}\' '
        + quote(entries)
        + ' "$context" >"$t/login/config.json"',
    ]
    for number, login in enumerate(logins):
        variable = _variable(number)
        lines += [
            f'printf %s "${variable}" | {OURS} docker login --username {quote(login.username)} '
            f"--password-stdin {quote(login.host)} \\",
            f'  >/dev/null 2>"$t/err" || {{ echo {quote(f"the login at {login.host} failed")} >&2; cat "$t/err" >&2; '
            f"exit {ScriptExit.LOGIN_FAILED}; }}",
            f"unset {variable}",
        ]
    return "\n".join(lines)


OURS = 'DOCKER_CONFIG="$t/login"'
"""Before a call of Docker: with our logins, and not with the host's own."""


def staging_script(stack: HostStack, staging: Staging, logins: Sequence[Login]) -> str:
    """The script of `stage`: files from standard input, the registries' passwords from the environment."""
    return IN_MEMORY + script_of(staging_steps(stack, staging, logins))


def staging_steps(stack: HostStack, staging: Staging, logins: Sequence[Login]) -> list[Step]:
    """What staging does on the host.

    Args:
        logins: see `needed_logins`.
    """
    steps = [Step(line) for line in _file_lines(stack, staging)]
    shown = [
        words("docker", "login", "--username", login.username, "--password-stdin", login.host)
        for login in logins
    ]
    steps.append(Step(log_in(logins), tuple(shown)))
    pulled = [image for image in staging.protect if image in staging.pulls]
    for image in staging.protect:
        tag = _protect(stack, image)
        if image in staging.unnamed:
            pull = _pull(image, logins)
            steps.append(replace(pull, text=f"{tag} 2>/dev/null || {{ {pull.text} && {tag}; }}"))
        elif image not in pulled:
            steps.append(Step(tag))
    steps += [Step(f"{_protect(stack, image)} || true") for image in staging.keep]
    for image in staging.pulls:
        # At once, so that the image can be pruned even if something fails later: only images with this tag are.
        steps += [_pull(image, logins), *([Step(_protect(stack, image))] if image in pulled else [])]
    for image in staging.recover:
        pull = _pull(image, logins)
        steps.append(replace(pull, text=f"{pull.text} && {_protect(stack, image)} || true"))
    return steps


def _file_lines(stack: HostStack, staging: Staging) -> list[str]:
    directory = stack.directory
    objects, key = quote(directory / layout.OBJECTS), quote(directory / layout.KEY)
    return [
        "set -e",
        # An upload that was cut short, also by a full disk, must not count as a file's content.
        f"rm -rf {objects}.new && mkdir -p {objects} {objects}.new",
        # tar says "wrote only", not why.
        f"tar -xpf - --no-same-owner -C {objects}.new || "
        f"{{ r=$?; echo 'the files could not be written; their disk:' >&2; df -Ph {objects}.new >&2; "
        f"rm -rf {objects}.new; exit $r; }}",
        f"cd {quote(directory)}",
        *(
            f'[ "$(sha256sum < {quote(path)})" != {quote(f"{digest}  -")} ] || cp -- {quote(path)} {objects}.new/{digest}'
            for path, digest in staging.saves.items()
        ),
        # Names that last need contents that last: after a power cut a name alone would count as the file.
        f"find {objects}.new -type f -exec sync {{}} +; sync {objects}.new",
        f'for x in {objects}.new/*; do [ ! -e "$x" ] || mv -f "$x" {objects}/; done; rmdir {objects}.new',
        # `set -e` does not see a failure to the right of `||` by itself.
        f'[ -s {key} ] || {{ printf %s "${KEY}" > {key}.new && sync {key}.new && mv {key}.new {key}; }} || exit; unset {KEY}',
    ]


def _pull(image: Image, logins: Sequence[Login]) -> Step:
    # The output of a pull is progress for people; what went wrong is on standard error.
    command = f"{with_login(image, logins)}docker pull --quiet {quote(image)} >/dev/null"
    return Step(command, (words("docker", "pull", image),))


def with_login(image: Image, logins: Sequence[Login]) -> str:
    """What stands before a call of Docker for an image; nothing where the host's own logins count."""
    return f"{OURS} " if login_for(logins, image) is not None else ""


def _protect(stack: HostStack, image: Image) -> str:
    return f"docker tag {quote(image.listed)} {quote(image.keep_tag(stack.keep_key))}"
