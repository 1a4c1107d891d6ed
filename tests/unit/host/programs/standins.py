"""What stands for a host, its docker, and the programs in its containers."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.host.change import apply
from deploy_lib.host.programs import Program

PROGRAMS = {
    "docker": """#!/bin/sh
echo "docker $*" >> "$FAKE/argv"
case $1 in
  ps)
    case " $* " in
      *" status=exited "*) [ ! -e "$FAKE/stopped" ] || echo id;;
      *) [ -e "$FAKE/down" ] || echo id;;
    esac;;
  start) rm "$FAKE/down" "$FAKE/stopped";;
  exec) shift 3; exec "$@";;
esac
""",
    # It has one password, and takes it over TCP, where the first call comes too early; over its socket it takes statements.
    "psql": """#!/bin/sh
echo "psql $*" >> "$FAKE/argv"
printf '%s' "$PGUSER" > "$FAKE/user"
case " $* " in
  *" -h "*)
    ! rm "$FAKE/early" 2>/dev/null || exit 2
    printf '%s' "${PGPASSWORD-none}" | cmp -s - "$FAKE/taken" || [ -e "$FAKE/trusts" ] || exit 2;;
  *)
    said=$(cat)
    case $said in
      'SELECT 1') [ ! -e "$FAKE/full" ] || exit 2;;
      *rolpassword*) echo "'SCRAM-old'";;
      *) [ ! -e "$FAKE/refuses" ] || exit 3; printf '%s\\n' "$said" > "$FAKE/sql";;
    esac;;
esac
""",
    "pg_isready": '#!/bin/sh\n[ ! -e "$FAKE/down" ]\n',
    "hostname": "#!/bin/sh\necho 172.18.0.2\n",
    "grafana": """#!/bin/sh
echo "grafana $*" >> "$FAKE/argv"
printf %s "${GF_DATABASE_PASSWORD-none}" > "$FAKE/database"
cat > "$FAKE/admin"
""",
}


@dataclass(frozen=True)
class Host:
    """A folder with these programs and what they remember."""

    folder: Path

    def __post_init__(self) -> None:
        for name, text in PROGRAMS.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        (self.folder / "argv").touch()

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, script: str, *steps: Program, **env: str) -> subprocess.CompletedProcess[bytes]:
        """The script, as a function's body, after the steps' functions."""
        whole = f"{apply.functions('p', steps)}\nf() {{\n{script}\n}}\nf"
        environment = {
            **os.environ,
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "FAKE": str(self.folder),
            "ROLE": "it's me",
            **env,
        }
        return subprocess.run(["sh", "-c", whole], env=environment, capture_output=True)
