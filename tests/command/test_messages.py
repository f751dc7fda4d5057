"""What is said on the way shows no secret, whoever says it."""

import logging
import os

from recross.command.messages import BARS_OF_OTHERS, mask_record, send_messages_to_stderr
from recross.experiment.place import Place
from recross.machine.environment import read_command_line

KEY = "sk-proj-AbCdEfGhIjKlMnOpQrStUv0123456789"


def test_every_handler_masks_what_any_library_says():
    send_messages_to_stderr()
    send_messages_to_stderr()
    for handler in logging.getLogger().handlers:
        assert handler.filters.count(mask_record) == 1
    record = logging.LogRecord(
        "httpx", 30, __file__, 1, "GET %s %d", (f"http://x?key={KEY}", 401), None
    )
    assert mask_record(record)
    assert record.getMessage() == "GET http://x?*** 401"


def test_records_of_a_failure_and_of_the_command_line_hold_no_secret(tmp_path, monkeypatch):
    place = Place(*(tmp_path / name for name in ("result", "config.yaml", "failed.json", "lock")))
    place.record_failure({}, ValueError(f"the server refused Bearer {KEY}"))
    assert "AbCd" not in (tmp_path / "failed.json").read_text()
    assert "the server refused ***" in (tmp_path / "failed.json").read_text()
    monkeypatch.setattr(
        "sys.argv", ["recross run", f"+hydra.job.env_set.TOKEN={KEY}", "api_key=ab"]
    )
    words = read_command_line()
    assert words == ["recross", "run", "+hydra.job.env_set.TOKEN=***", "api_key=***"]


def test_bars_of_other_libraries_are_switched_off(monkeypatch):
    for name in BARS_OF_OTHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "0")  # who wants them has them
    send_messages_to_stderr()
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"
    assert os.environ["TQDM_DISABLE"] == "0"
