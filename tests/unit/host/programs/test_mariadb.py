"""What needs no server; tests/lab/test_mariadb.py has one."""

from deploy_lib.host.programs.mariadb import MariadbUser
from deploy_lib.secrets.value import Secret

USER = MariadbUser(kind="mariadb-user", secret="PW", service="db")


def test_it_is_handed_what_its_own_function_makes_of_a_password() -> None:
    """The example that stands in MariaDB's manual."""
    assert USER.hand(Secret("mariadb")).reveal() == "*54958E764CE10E50764C2EECBB71D01F08549980"


def test_no_value_stands_in_its_shell_text() -> None:
    for text in (USER.keeps(), USER.change(), USER.takes()):
        outside, _, command = text.partition(" | inside ")
        assert '"$1"' in outside or '"$new_PW"' in outside
        assert not any(name in command for name in ("$old_PW", "$new_PW", "$APPLY_PW"))


def test_a_line_break_at_the_end_would_not_reach_it() -> None:
    assert USER.unfit(Secret("two\nlines")) == ""
    assert "PW ends in a line break" in USER.unfit(Secret("one line\n"))
