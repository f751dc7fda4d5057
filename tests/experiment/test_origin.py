import logging

from recross.experiment.origin import describe_origin, find_own_version, say_other_version
from tests.conftest import toy_collection


def test_judgments_and_queries_of_a_split_have_a_fingerprint_of_their_own():
    whole = toy_collection()
    found = describe_origin(whole, "test")
    assert found["recross"] == find_own_version()
    assert found["data"]["fingerprint"] == whole.fingerprint
    assert found == describe_origin(toy_collection(), "test")
    first = whole.query_ids("test")[0]
    rejudged = toy_collection()
    rejudged.split_qrels["test"][first] = {"d1": 2}
    assert describe_origin(rejudged, "test")["data"]["judgments"] != found["data"]["judgments"]
    asked_otherwise = toy_collection()
    asked_otherwise.queries[first] = "something else"
    assert describe_origin(asked_otherwise, "test") != found
    assert "judgments" not in describe_origin(whole)["data"]


def test_a_result_of_another_version_is_named_when_it_is_made_again(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        say_other_version(tmp_path, {})
        say_other_version(tmp_path, {"recross": find_own_version()})
        assert caplog.text == ""
        say_other_version(tmp_path, {"recross": "0.0.1"})
    assert "finished by recross 0.0.1, made again by" in caplog.text
