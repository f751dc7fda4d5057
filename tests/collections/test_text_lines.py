import logging

from recross.collections.text_lines import read_text_file


def test_what_a_text_is_called_elsewhere_is_said_once_for_a_file(tmp_path, caplog):
    path = tmp_path / "docs.jsonl"
    path.write_text('{"id": "1", "contents": "a"}\n{"id": 2, "contents": "b"}\n')
    with caplog.at_level(logging.INFO):
        assert read_text_file(path) == {"1": "a", "2": "b"}
    (record,) = caplog.records
    assert record.getMessage() == f"{path}: texts are what its lines call 'contents'"
    caplog.clear()
    path.write_text('{"_id": "1", "text": "a"}\n')
    read_text_file(path)
    assert caplog.records == []
