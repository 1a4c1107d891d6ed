import pytest

from deploy_lib.errors import UsageError
from deploy_lib.request import whole_number, word


def test_a_flag_that_was_not_given_leaves_the_default_and_an_empty_text_is_none() -> None:
    assert whole_number("--tail", None, 100) == 100
    assert word("--service", None) is None
    with pytest.raises(UsageError, match="--tail must be a whole number"):
        whole_number("--tail", "", 100)
    with pytest.raises(UsageError, match="--service: nothing is named"):
        word("--service", "")


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "ten", " 1", "²", "٣", "86401"])
def test_what_is_no_whole_number_in_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--wait-lock must be a whole number from 0 to 86400, not "
    ) as caught:
        whole_number("--wait-lock", text, 0)
    assert repr(text) in str(caught.value)


def test_the_ends_of_the_range_are_allowed() -> None:
    assert [whole_number("--parallel", text, 9, range(1, 4)) for text in ("1", "3")] == [1, 3]
    for text in ("0", "4"):
        with pytest.raises(UsageError, match="from 1 to 3"):
            whole_number("--parallel", text, 9, range(1, 4))


def test_a_name_may_be_a_git_ref() -> None:
    for text in ("web", "v1.4.2", "origin/main", "HEAD~2", "HEAD^"):
        assert word("--tag", text) == text


@pytest.mark.parametrize("text", ["-x", "a b", "a;reboot", "$(id)", "a\nb", "é", "/etc"])
def test_what_a_shell_or_git_could_take_for_something_else_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--tag: .* is not a name"):
        word("--tag", text)
