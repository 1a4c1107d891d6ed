from deploy_lib.secrets.placeholders import placeholder, placeholders, shown, take_apart


def test_a_text_is_taken_apart_where_secrets_stand_in_it() -> None:
    text = f"db://{placeholder('WHO')}:{placeholder('_PW2')}@db"
    assert take_apart(text) == ("db://", "WHO", ":", "_PW2", "@db")
    assert shown(text) == "db://${WHO}:${_PW2}@db"


def test_a_text_without_a_secret_is_one_part() -> None:
    assert take_apart("deploy-secret.") == ("deploy-secret.",)


def test_names_that_begin_alike_are_told_apart() -> None:
    both = placeholders(["PW", "PW_OLD"])
    assert take_apart("".join(both.values()))[1::2] == ("PW", "PW_OLD")
