"""Names that a secret cannot have: its value is the variable of that name in scripts on hosts, which have their own."""

from __future__ import annotations

import re

_SCRIPTS = """
    a about admin again all alone ancestor answer_by asked at at_once attempt b be before began begun bs bundle by c
    changed command compose container context count d decided door drain drain_by dropped e earlier echo_since enabled
    event f found free g gate gateway given gone grace guard h hash health i id idle ids if iflag in it j k kind known
    l label last later leaving left level limit limit_from limit_to list listed m made me met missing modes mounts n
    name needed needs net nets new node o of of_all old old_one one op or other out own p paths port problem q quiet r
    ran ready_by rejoined_by repository rest restarts round runs rw s said scale seen service services setting
    settle_by shown silent slow_query_log socket source sql_log_off state status stay step still stopped strict t t1
    tag tags tcp time total touched u unproven unread used user v w waits wanted was web well which why x y z
"""

SCRIPTS = frozenset(_SCRIPTS.split())
"""Variables of this program's scripts; a test finds them there."""

_SHELLS = re.compile(
    r"(?:PATH|HOME|IFS|PWD|OLDPWD|UID|EUID|PPID|LC_ALL|TMPDIR|ENV|PS4|LINENO|OPT(?:ARG|IND|ERR)|_)\Z"
    r"|(?:BASH|COMPOSE|APPLY|old|new|has|copy)_|LD_(?:PRELOAD|AUDIT|LIBRARY_PATH)\Z"
    r"|DOCKER_(?:HOST|CONTEXT|CONFIG|AUTH_CONFIG|CERT_PATH|API_VERSION|DEFAULT_PLATFORM|BUILDKIT|TLS|CONTENT_TRUST)"
)
"""Those of shells, of the system and of Docker's programs, and beginnings that scripts put before a secret's name."""


def free(name: str) -> str:
    """The name as it is, when a secret can have it.

    Raises:
        ValueError: it cannot.
    """
    if name in SCRIPTS or _SHELLS.match(name):
        raise ValueError(
            "a secret cannot have this name, which scripts on hosts use themselves: give it another one, and `field` says what it "
            "is called in its source"
        )
    return name
