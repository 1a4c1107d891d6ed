"""Looking closer at data: what lies in containers' own layers and in their mounts, and what programs have written there.

One script, asked only where a container is replaced or removed and the facts alone do not show that nothing is lost.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field

from deploy_lib.answers import understand
from deploy_lib.compose.labels import PROJECT as PROJECT_LABEL
from deploy_lib.compose.labels import in_directory, template
from deploy_lib.shell import IN_MEMORY, THERE, quote, words
from deploy_lib.ssh.session import Session

TIMEOUT = 120.0
"""Seconds until the host must have answered."""

_EACH = 30
"""Seconds that one look into a container may take."""

_PARTS = 500
"""Parts of a container's own layer that are looked at, at most: what was added as a whole is one."""

_FIRST_BYTES = 64


class Question(Struct, frozen=True):
    """What is to be looked at.

    Attributes:
        layers: ids of the containers whose own layer is searched.
        held: a container's id, and a path in it: whether any file lies there.
        files: likewise: the first bytes of a file.
        variables: a container's id or an image, and the names of variables: what its environment has; a name that begins with a
            dash is an option of its command.
        volumes: images: at which paths they declare volumes.
        sources: paths of the host: whether they are there, and whether they are empty.
        stored: names of volumes, and a path below each: the first bytes of a file, where this user may look.
        directory: of the stack: which Compose projects were started there.
    """

    layers: tuple[str, ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    volumes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    stored: tuple[tuple[str, str], ...] = ()
    directory: PurePosixPath | None = None

    def __bool__(self) -> bool:
        return self != Question()

    def without(self, asked: Question) -> Question:
        """What of it was not asked before."""
        fresh = {
            name: tuple(one for one in getattr(self, name) if one not in getattr(asked, name))
            for name in self.__struct_fields__
            if name != "directory"
        }
        return Question(**fresh, directory=None if asked.directory else self.directory)


class Found(Struct, frozen=True):
    """What was found; what is in none of these is not known.

    Attributes:
        layers: by container, bytes by directory of what it has written into its own layer; with a directory "?" where not all of
            it could be looked at.
        held: whether a file lies there.
        files: by container and path, the first bytes of a file; none of one that is not there.
        variables: by container or image.
        volumes: by image; none for one that the host does not have.
        sources: by path, "missing", "empty", "file" or "full".
        stored: by volume and path, as `files`.
        projects: the Compose projects whose containers were started in the directory, with the volumes of each.
    """

    layers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    held: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    files: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    volumes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    projects: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def also(self, other: Found) -> Found:
        """Both."""
        return Found(
            **{name: {**getattr(self, name), **getattr(other, name)} for name in self.__struct_fields__}
        )


def ask(session: Session, question: Question) -> Found:
    """Asks the host, read-only.

    Raises:
        RemoteError: it does not answer.
        NotUnderstoodError: it answers with something else.
    """
    if not question:
        return Found()
    said = session.run(data_script(question), timeout=TIMEOUT, step="looking at data").stdout
    return understand("what the host says of its data", lambda: read_found(said))


def data_script(question: Question) -> str:
    """One line for each answer: its kind, what it is about, and the answer, the last two in base64."""
    q = question
    asked = [
        *(f"layer {quote(each)}" for each in q.layers),
        *(f"held {words(*each)}" for each in q.held),
        *(f"file {words(*each)}" for each in q.files),
        *(f"variables {words(each, *names)}" for each, names in q.variables),
        *(f"volumes {quote(each)}" for each in q.volumes),
        *(f"place {quote(each)}" for each in q.sources),
        *(f"stored {words(*each)}" for each in q.stored),
        *([f"projects {quote(in_directory(q.directory))}"] if q.directory is not None else []),
    ]
    projects = f"{template(PROJECT_LABEL)} {{{{.Mounts}}}}"
    return f"""\
export LC_ALL=C
{IN_MEMORY}{THERE}
code() {{ base64 | tr -d '\\n'; }}
# say KIND WORD...: an answer; what it says comes on standard input.
say() {{ printf '%s' "$1"; shift; for x; do printf ' %s' "$(printf %s "$x" | code)"; done; printf ' =%s\\n' "$(code)"; }}
# Bytes by directory of the files that are in the container's own layer. Not by `docker export`: after that, Docker 26.1 never removes
# the layer, with the secrets in it. What was added is asked for as a whole, where nothing is mounted in it; what was changed by itself.
layer() {{
  timeout {_EACH} docker diff "$1" >"$t/diff" || return 0
  docker inspect --format '{{{{range .Mounts}}}}{{{{println .Destination}}}}{{{{end}}}}' "$1" >"$t/mounts" 2>/dev/null || return 0
  awk -v mounts="$t/mounts" '
    function above(x) {{ sub(/\\/[^\\/]*$/, "", x); return x }}
    BEGIN {{ while ((getline x < mounts) > 0) for (; x != ""; x = above(x)) mounted[x] = 1 }}
    /^[ACD] / {{ x = substr($0, 3); kind[x] = substr($0, 1, 1); while ((x = above(x)) != "") inner[x] = 1 }}
    END {{
      for (x in kind) {{
        y = above(x)
        if (kind[x] == "D" || x in mounted) continue
        if (kind[x] == "C") {{ if (!(x in inner)) print "C " x }}
        else if (kind[y] != "A" || y in mounted) print "A " x
      }}
    }}' "$t/diff" >"$t/own"
  n=0 by=$(($(date +%s) + {_EACH}))
  while read -r kind x; do
    n=$((n + 1))
    # What was cut short says where, and not how much.
    if [ $n -gt {_PARTS} ] || [ "$(date +%s)" -ge $by ]; then echo '0 ?'; break; fi
    : >"$t/said"
    inside "$1" "$x" | {{ if [ $kind = C ]; then head -c 10240; else cat; fi; }} | tar -tvf - 2>/dev/null | awk -v kind=$kind -v at="${{x%/*}}" '
      kind == "C" && NR > 1 {{ next }}
      /^-/ {{
        n = $3; x = $0
        sub(/^[^ ]+ +[^ ]+ +[0-9]+ +[^ ]+ +[^ ]+ /, "", x); x = at "/" x
        sub(/\\/[^\\/]*$/, "", x); print n, (x == "" ? "/" : x)
      }}'
    # One that is gone by now is not there; of any other, nobody knows how large it is.
    ! unsaid || echo '0 ?'
  done <"$t/own" >"$t/each"
  awk '{{ n = $1; sub(/^[^ ]* /, ""); sum[$0] += n }} END {{ for (x in sum) printf "%.0f %s\\n", sum[x], x }}' "$t/each" >"$t/sums"
  say layer "$1" <"$t/sums"
}}
inside() {{ timeout {_EACH} docker cp "$1:$2" - 2>"$t/said" || {{ [ $? != 124 ] || echo 'this takes too long' >>"$t/said"; }}; }}
# Whether Docker could not say, which is another thing than that there is nothing.
unsaid() {{ [ -s "$t/said" ] && ! grep -qiE 'could not find|no such' "$t/said"; }}
# Whether any file lies there; where one may not look, there may be.
held() {{
  : >"$t/said"
  x=$(inside "$1" "$2" | tar -tf - 2>/dev/null | {{ while IFS= read -r x; do case $x in */) ;; *) echo yes; break;; esac; done; }})
  if [ -z "$x" ] && unsaid; then x=yes; fi
  echo "${{x:-no}}" | say held "$1" "$2"
}}
# The beginning of a file; one that cannot be read is there, and nobody knows which version has written it.
file() {{
  : >"$t/said"
  inside "$1" "$2" | tar -xOf - 2>/dev/null | head -c {_FIRST_BYTES} >"$t/first"
  if [ ! -s "$t/first" ] && unsaid; then echo '?' >"$t/first"; fi
  say file "$1" "$2" <"$t/first"
}}
variables() {{
  i=$1; shift
  docker inspect --format '{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}' "$i" >"$t/env" 2>/dev/null || return 0
  docker inspect --format '{{{{range .Config.Cmd}}}}{{{{println .}}}}{{{{end}}}}' "$i" >"$t/command" 2>/dev/null || return 0
  for n; do case $n in -*) options "$n" <"$t/command";; *) grep "^$n=" "$t/env";; esac; done | say variables "$i"
}}
options() {{
  p=
  while IFS= read -r x; do
    [ "$p" != "$1" ] || printf '%s=%s\n' "$1" "$x"
    case $x in "$1="*) printf '%s\n' "$x";; "$1"/*) printf '%s=%s\n' "$1" "${{x#"$1"}}";; esac
    p=$x
  done
}}
volumes() {{
  docker image inspect --format '{{{{range $x, $_ := .Config.Volumes}}}}{{{{println $x}}}}{{{{end}}}}' "$1" >"$t/volumes" 2>/dev/null || return 0
  say volumes "$1" <"$t/volumes"
}}
# What a path of the host is. (A function may not be named `source`: bash, which is `sh` on Fedora, has a command of that name.)
place() {{
  there "$1" 2>/dev/null; r=$?
  if [ $r = 1 ]; then x=missing
  elif [ $r = 2 ]; then return
  elif [ ! -d "$1" ]; then x=file
  elif x=$(find "$1/." ! -path "$1/." 2>/dev/null | head -n 1) && [ -z "$x" ] && [ -r "$1" ]; then x=empty
  else x=full; fi
  echo $x | say source "$1"
}}
stored() {{
  d=$(docker volume inspect --format '{{{{.Mountpoint}}}}' "$1" 2>/dev/null) && [ -r "$d/$2" ] || return 0
  head -c {_FIRST_BYTES} "$d/$2" | say stored "$1" "$2"
}}
projects() {{ docker ps -a --no-trunc --filter "$1" --format {quote(projects)} | say projects; }}
{chr(10).join(asked)}
echo end
"""


def read_found(said: str) -> Found:
    """What `data_script` prints.

    Raises:
        ValueError: it is something else, or was cut short.
    """
    lines = said.splitlines()
    if not lines or lines[-1] != "end":
        raise ValueError("cut short")
    found: dict[str, dict[tuple[str, ...], bytes]] = {}
    for line in lines[:-1]:
        kind, *about, answer = line.split(" ")
        if not answer.startswith("="):
            raise ValueError(line)
        found.setdefault(kind, {})[tuple(map(_text, about))] = base64.b64decode(answer[1:], validate=True)

    def of(kind: str) -> Mapping[tuple[str, ...], bytes]:
        return found.get(kind, {})

    return Found(
        layers={i: dict(_sizes(answer.decode(errors="replace"))) for (i,), answer in of("layer").items()},
        held={(i, path): answer == b"yes\n" for (i, path), answer in of("held").items()},
        files={(i, path): answer for (i, path), answer in of("file").items() if answer},
        variables={
            i: dict(_pairs(answer.decode(errors="replace"))) for (i,), answer in of("variables").items()
        },
        volumes={i: frozenset(answer.decode().split("\n")) - {""} for (i,), answer in of("volumes").items()},
        sources={path: answer.decode().strip() for (path,), answer in of("source").items()},
        stored={(name, path): answer for (name, path), answer in of("stored").items() if answer},
        projects=_projects(next(iter(of("projects").values()), b"").decode()),
    )


def _text(word: str) -> str:
    return base64.b64decode(word, validate=True).decode()


def _sizes(said: str) -> Sequence[tuple[str, int]]:
    return [(path, int(size)) for line in said.splitlines() for size, _, path in [line.partition(" ")]]


def _pairs(said: str) -> Sequence[tuple[str, str]]:
    return [(name, value) for line in said.splitlines() for name, _, value in [line.partition("=")]]


def _projects(said: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in said.splitlines():
        project, _, mounts = line.partition(" ")
        found[project] = found.get(project, frozenset()) | (frozenset(mounts.split(",")) - {""})
    return found
