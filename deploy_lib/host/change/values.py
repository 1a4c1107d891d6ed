"""Secret values on a host: those that run are read from its containers into a script's own memory, and those that are to
run are put into files in the host's memory, where the stack's delivery is that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose import labels
from deploy_lib.compose.model import SECRETS
from deploy_lib.compose.override import delivered_in
from deploy_lib.host.stack import HostStack
from deploy_lib.secrets.placeholders import placeholder
from deploy_lib.secrets.places import Place, Reading, readings
from deploy_lib.shell import ScriptExit, quote, words


def capture(
    stack: HostStack,
    places: Iterable[Place],
    marks: Mapping[str, Mapping[str, str]] | None = None,
    *,
    always: bool = False,
) -> str:
    """Shell text that reads each secret from a container that has it, a stopped one too, into `$old_NAME`.

    Byte for byte: the letter that ends the output keeps the shell from taking line ends off. A secret that no container has
    is left out; one that no container gives, although one may have it, ends the script: nothing could go back to it.

    Args:
        marks: by service and secret, the fingerprint of the value that is meant. Of several containers, some may have another one:
            those of a release that failed and was left, or that was interrupted. They count only where no other has the value.
        always: the shell functions are there without any place, too.
    """
    found = readings(places)
    if not found and not always:
        return ":"
    filters = f"{stack.project.filters} {labels.NO_ONE_OFF} {labels.of_service_in('2')}"
    form = f"{{{{.ID}}}} {labels.template(layout.SECRETS_LABEL)}"
    # A file of secrets in memory that a reboot has taken is what the container is without, and not what it does not give.
    gone = "|".join(f"{quote(place)}/*" for place in stack.secret_places)
    functions = f"""\
at= of= bundle=
# lacks CONTAINER COMPLAINT: the container is gone, or it does not have the file.
lacks() {{
  case $2 in *'Could not find the file '*|*[Nn]'o such container'*|*[Nn]'o such object'*) return 0;; esac
  for x in $(docker inspect -f '{{{{range .Mounts}}}}{{{{println .Source}}}}{{{{end}}}}' "$1" 2>/dev/null); do
    case $x in {gone}) [ -e "$x" ] || return 0;; esac
  done
  return 1
}}
# file, environment and argument CONTAINER WHERE: 0 with the text in $v, 1 when it is not there, 2 when that is unknown, with the cause in $e.
file() {{
  case $2 in {_joint(found)})
    # Docker takes as long for all files of a directory as for one. What does not come so is asked for by itself.
    [ "$at" = "$1:${{2%/*}}" ] || {{ at=$1:${{2%/*}}; bundle=$(docker cp "$at" - 2>/dev/null | base64); }}
    x=${{2%/*}}
    v=$(printf %s "$bundle" | base64 -d 2>/dev/null | tar -xOf - "${{x##*/}}/${{2##*/}}" 2>/dev/null && echo x) && [ "$v" != x ] && return;;
  esac
  v=$(docker cp "$1:$2" - 2>/dev/null | tar -xOf - 2>/dev/null && echo x) && return
  e=$(docker cp "$1:$2" - 2>&1 >/dev/null) || ! lacks "$1" "$e" || return 1
  e=${{e:-its copy is not whole}}
  return 2
}}
environment() {{
  if v=$(docker inspect --format '{{{{range .Config.Env}}}}{{{{if eq (index (split . "=") 0) "'"$2"'"}}}}{{{{.}}}}x{{{{end}}}}{{{{end}}}}' "$1" 2>/dev/null); then
    [ -n "$v" ] || return 1
    v=${{v#"$2="}}
    return 0
  fi
  e=$(docker inspect "$1" 2>&1 >/dev/null) || ! lacks "$1" "$e" || return 1
  e=${{e:-Docker did not say what it is}}
  return 2
}}
argument() {{
  if v=$(docker inspect --format '{{{{if gt (len .Config.Cmd) '"$2"'}}}}{{{{index .Config.Cmd '"$2"'}}}}x{{{{end}}}}' "$1" 2>/dev/null); then
    [ -n "$v" ]
    return
  fi
  e=$(docker inspect "$1" 2>&1 >/dev/null) || ! lacks "$1" "$e" || return 1
  e=${{e:-Docker did not say what it is}}
  return 2
}}
# capture NAME SERVICE KIND WHERE BEFORE AFTER MARK: the value stands between two known texts. It fails where no container gives
# it; $unread then says why, unless none has it. With $strict, containers count whose label has that mark.
capture() {{
  for n in 1 2; do
    # An engine under load may refuse once.
    [ $n = 1 ] || sleep 1
    # They were just listed where the secret before was of the same service.
    if [ $n = 2 ] || [ "$2" != "$of" ]; then
      of=
      listed=$(docker ps -a --no-trunc {filters} --format {quote(form)} 2>&1) ||
        {{ why="the secret $1 cannot be read: the containers of $2 cannot be listed: $listed"; continue; }}
      of=$2
    fi
    why= ids=
    while read -r c m; do
      case "${{strict:+${{7:+strict}}}}  $m " in 'strict '*" $1=$7 "*|' '*) ids="$ids $c";; esac
    done <<=LISTED=
$listed
=LISTED=
    for c in $ids; do
      "$3" "$c" "$4"
      case $? in
        0)
          v=${{v%x}}
          case $v in "$5"*"$6") ;; *) continue;; esac
          v=${{v#"$5"}}
          v=${{v%"$6"}}
          eval "old_$1=\\$v has_$1=1"
          return 0;;
        1) ;;
        *)
          x=$(docker inspect -f '{{{{.Name}}}}' "$c" 2>/dev/null) || x=$c
          why="the secret $1 cannot be read from the container ${{x#/}}: $e";;
      esac
    done
    [ -n "$why" ] || return 1
  done
  # Another place, which has nothing, does not take that back.
  unread=$why
  return 1
}}
absent() {{ [ -z "$unread" ] || {{ printf '%s\\n' "$unread"; exit {ScriptExit.NO_OLD_VALUES}; }}; }}
"""
    calls = []
    for reading in found:
        tries = " || ".join(
            _capture(reading.name, place, (marks or {}).get(place.service, {}).get(reading.name, ""))
            for place in reading.places
        )
        calls.append(f"unread= strict=1; {tries} || {{ absent; strict=; {tries}; }} || absent")
    return functions + "\n".join(calls) + "\nbundle="


def _joint(found: Sequence[Reading]) -> str:
    """Shell pattern: where Compose puts secrets, if a service has more than one there.

    Any other directory may hold whatever else a container keeps, and all of that would be read.
    """
    files = {place for reading in found for place in reading.places if place.kind == "file"}
    of = [place.service for place in files if PurePosixPath(place.where).parent == SECRETS]
    return f"{quote(SECRETS)}/*" if len(of) > len({*of}) else "''"


def _capture(name: str, place: Place, mark: str) -> str:
    at = 1 + 2 * place.names.index(name)
    known = {other for other in place.names if other != name}
    call = " ".join(
        [
            words("capture", name, place.service, place.kind, place.where),
            _text(place.parts[:at]),
            _text(place.parts[at + 1 :]),
            quote(mark),
        ]
    )
    return (
        " && ".join([*(f'[ -n "${{has_{other}:-}}" ]' for other in sorted(known)), call]) if known else call
    )


def _text(parts: Sequence[str]) -> str:
    """One shell word for a text whose secrets are known."""
    return (
        "".join(quote(part) if i % 2 == 0 else f'"$old_{part}"' for i, part in enumerate(parts) if part)
        or "''"
    )


def restore(names: Iterable[str]) -> str:
    """Shell text that exports the captured values; the other secrets keep the values that the script was given."""
    return "\n".join(f'[ -z "${{has_{n}:-}}" ] || export {n}="$old_{n}"' for n in sorted(names)) or ":"


def have_values(names: Iterable[str]) -> str:
    """Shell condition: all of these have a value, captured or given.

    Compose, given none, would find out only after it has removed the container that is to be replaced.
    """
    return " && ".join(f'[ -n "${{{n}+set}}" ]' for n in sorted(names)) or "true"


def fill(names: Iterable[str]) -> str:
    """Shell text that gives secrets which no service has what they had when the files were rendered.

    Compose fills in all of a file, also what belongs to a profile that is not in use, and `${NAME:?}` there insists on a value.
    """
    return (
        "\n".join(f'[ -n "${{{n}+set}}" ] || export {n}={quote(placeholder(n))}' for n in sorted(names))
        or ":"
    )


def deliver(files: Mapping[str, str]) -> str:
    """Shell text that writes each secret from the variable that its file is named after, and fails where that is no memory of
    this user's own; takes TRUST.

    Containers of any user may read a file; on the host, the directory lets in its owner alone. Each is renamed into
    place, so that a container that runs keeps what it was started with. All are written first, but for those that have their
    value already: so a memory that is full changes nothing, and keeps nobody from going back.

    Args:
        files: see `Release.secret_files`.
    """
    if not files:
        return ":"
    names = sorted({PurePosixPath(path).name for path in files.values()})
    directory = delivered_in(files)
    writes = "\n".join(f'has {name} "${name}" || write {name} "${name}" || give_up' for name in names)
    # `set -C`: nothing that exists is written to, whatever it is.
    return f"""\
(
{claim(PurePosixPath(directory))} && cd {quote(directory)} && set -C || exit
has() {{ rm -f "$1.new"; [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %a "$1")" = 444 ] && printf %s "$2" | cmp -s - "$1"; }}
write() {{ printf %s "$2" > "$1.new" && chmod 444 "$1.new"; }}
give_up() {{ rm -f {words(*(f"{name}.new" for name in names))}; exit 1; }}
{writes}
for x in {words(*names)}; do [ ! -e "$x.new" ] || mv -f "$x.new" "$x" || exit; done
)"""


def claim(directory: PurePosixPath) -> str:
    """Shell command that makes a directory of `layout.secrets_in`, or fails and says why it is no place for secrets; takes
    TRUST.

    Anybody may make a directory below /dev/shm, so it is made and not just there, or it is proven to be this user's own.
    """
    memory, place = quote(directory.parent.parent), quote(directory)
    return f"""\
(
umask 077
w=$(way {memory}) && [ -z "$w" ] || {{ printf '%s\\n' "$w"; exit 1; }}
for x in {quote(directory.parent)} {place}; do
  [ -e "$x" ] || [ -L "$x" ] || w=$(mkdir "$x" 2>&1) || {{ echo "$w"; exit 1; }}
  w=$(own "$x") && [ -z "$w" ] || {{ printf '%s\\n' "$w"; exit 1; }}
  chmod 700 "$x" || exit
done
[ "$(stat -f -c %T {place})" = tmpfs ] || {{ echo {quote(f"{directory} is not in memory")}; exit 1; }}
)"""


def sweep(stack: HostStack, files: Mapping[str, str]) -> str:
    """Shell text that removes a stack's secret files, all but these; takes TRUST."""
    return f"""\
for d in {words(*stack.secret_places)}; do
  # A directory of another user may lead anywhere.
  [ -d "$d" ] && [ -z "$(own "${{d%/*}}"; own "$d")" ] || continue
  for x in "$d"/*; do
    case {quote(f" {' '.join(sorted(files.values()))} ")} in *" $x "*) ;; *) rm -f -- "$x";; esac
  done
  rmdir "$d" "${{d%/*}}" 2>/dev/null
done
true"""
