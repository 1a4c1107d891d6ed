import pytest

from ktrdr_backend import settings

from .test_registration import ENVIRONMENT

WORKER = {**ENVIRONMENT, "SHARED_MOUNT_PATH": "/mnt/ktrdr-shared"}


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(SystemExit) as refusal:
        settings.api({"DB_HOST": "db", "DB_NAME": "ktrdr", "DB_PASSWORD": ""})
    assert str(refusal.value) == "not set: DB_USER, DB_PASSWORD"


@pytest.mark.parametrize(
    "name",
    ["KTRDR_API_URL", "WORKER_TYPE", "WORKER_HOSTNAME", "WORKER_PORT", "WORKER_PUBLIC_BASE_URL", "DB_USER"],
)
def test_a_worker_guesses_nothing(name: str) -> None:
    with pytest.raises(SystemExit, match=f"not set: {name}$"):
        settings.worker({key: value for key, value in WORKER.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKER_TYPE", "mining", "WORKER_TYPE must be one of backtesting, training"),
        ("WORKER_PORT", "https", "WORKER_PORT must be a port number"),
        ("DB_PORT", "65536", "DB_PORT must be a port number"),
    ],
)
def test_a_wrong_value_is_one_clear_line(name: str, value: str, said: str) -> None:
    with pytest.raises(SystemExit) as refusal:
        settings.worker({**WORKER, name: value})
    assert str(refusal.value) == said


def test_secrets_show_in_no_repr() -> None:
    shown = repr(settings.worker(WORKER))
    assert WORKER["DB_PASSWORD"] not in shown
    assert "password" not in shown


def test_a_slot_is_the_place_and_not_the_container() -> None:
    assert settings.worker(WORKER).slot == "backtest-worker-ktrdr-workers-b.internal-5003"
    training = settings.worker({**WORKER, "WORKER_TYPE": "training", "WORKER_PORT": "5005"})
    assert training.slot == "training-worker-ktrdr-workers-b.internal-5005"
