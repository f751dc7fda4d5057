import subprocess
import textwrap
from pathlib import Path

import pytest

from recross.collections import docstrings
from recross.collections.apidocs import Apidocs, keep_unambiguous
from recross.collections.apidocs import _read_sources as sources_of
from recross.collections.docstrings import Entry, harvest, read_docstrings
from recross.errors import InputError

LONG = "word " * 20


def text(path):
    return Path(path).read_text(encoding="utf-8")


def test_public_names_are_found_with_summary_and_body():
    source = textwrap.dedent('''
        """Module text is not a name's."""
        def visible(x):
            """Return the thing
            asked for.

            More about it.
            """
            def inner():
                """Hidden: not reachable by name."""
        def _hidden():
            """Nobody's business."""
        class Shape:
            """A shape of some kind."""
            def area(self):
                """Return the area of it."""
            class _Inner:
                def deep(self):
                    """Hidden below a private class."""
    ''')
    assert list(read_docstrings("pkg.mod", source)) == [
        Entry("pkg.mod.visible", "Return the thing asked for.", "More about it."),
        Entry("pkg.mod.Shape", "A shape of some kind.", ""),
        Entry("pkg.mod.Shape.area", "Return the area of it.", ""),
    ]


def test_ambiguous_summaries_duplicate_bodies_and_short_texts_are_left_out():
    entries = [
        Entry("good", "a summary of four words", LONG + "good"),
        Entry("twin1", "the same summary as another", LONG + "one"),
        Entry("twin2", "The same summary as another.", LONG + "two"),
        Entry("copy1", "its own summary number one", LONG + "copied"),
        Entry("copy2", "its own summary number two", LONG + "copied"),
        Entry("short", "too short", LONG + "short"),
        Entry("bodyless", "a summary with no body", "few words"),
        Entry("alias", "defined twice under one name", LONG + "a"),
        Entry("alias", "defined twice but differently", LONG + "b"),
    ]
    assert [entry.name for entry in keep_unambiguous(entries)] == ["good"]


@pytest.fixture(scope="module")
def networkx_docs(tmp_path_factory):
    return Apidocs(("networkx",), size=300, store=tmp_path_factory.mktemp("store")).load()


def test_every_query_has_its_own_document_and_one_split(networkx_docs):
    assert len(networkx_docs.documents) == 300
    names = [q for split in ("train", "dev", "test") for q in networkx_docs.query_ids(split)]
    assert sorted(names) == sorted(networkx_docs.documents)
    for split in ("train", "dev", "test"):
        for query_id in networkx_docs.query_ids(split):
            assert networkx_docs.relevant(split, query_id) == {query_id}
            assert networkx_docs.queries[query_id] not in networkx_docs.documents[query_id]


def test_a_names_split_does_not_depend_on_the_sample(networkx_docs, tmp_path):
    smaller = Apidocs(("networkx",), size=100, store=tmp_path).load()
    assert smaller.documents.keys() <= networkx_docs.documents.keys()
    for split in ("train", "dev", "test"):
        assert set(smaller.query_ids(split)) <= set(networkx_docs.query_ids(split))


def test_building_again_gives_the_same_content(networkx_docs, tmp_path):
    again = Apidocs(("networkx",), size=300, store=tmp_path).load()
    assert again.fingerprint == networkx_docs.fingerprint
    assert (tmp_path / "collections").is_dir()


def test_many_processes_find_what_one_finds_in_the_order_of_the_files():
    sources = list(sources_of("networkx"))
    one = [entry for module, path in sources for entry in read_docstrings(module, text(path))]
    assert len(one) > 1000
    assert harvest(sources, 3) == one == harvest(sources, 1)


def test_what_is_not_python_and_half_a_character_are_left_out_and_no_obstacle(tmp_path):
    (tmp_path / "broken.py").write_text("def {{ template }}:")
    half = 'def half():\n    """A lone \\ud800 here."""\n'
    whole = 'def whole():\n    """A whole \\U0001f600 here."""\n'
    (tmp_path / "odd.py").write_text(half + whole)
    sources = [("broken", str(tmp_path / "broken.py")), ("odd", str(tmp_path / "odd.py"))]
    assert harvest(sources, 8) == [Entry("odd.whole", "A whole 😀 here.", "")]
    assert harvest([], 8) == []


def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    (tmp_path / "bare_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("no_such_package", "bare_folder", "json"):  # Python's own has no version
        with pytest.raises(InputError, match=f"must name installed packages, got {name!r}"):
            Apidocs((name,), store=tmp_path).load()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"packages": ()}, "packages must name at least one"),
        ({"packages": ("numpy",), "size": 3}, "size must be at least 10, got 3"),
        ({"packages": ("numpy",), "test_share": 1.2}, r"test_share must lie in \[0, 1\), got 1.2"),
        ({"packages": ("numpy",), "test_share": 0.95}, r"test_share \+ dev_share must lie in"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Apidocs(**arguments)


def test_an_interruption_ends_the_processes_that_read(tmp_path, monkeypatch):
    started = []

    def interrupt(process, _):
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(docstrings, "_ask", interrupt)
    sources = [(f"m{number}", str(tmp_path / "none.py")) for number in range(2)]
    with pytest.raises(KeyboardInterrupt):
        harvest(sources, 2)
    assert started
    assert all(process.poll() == -9 for process in started)


def test_a_process_that_fails_is_no_collection_without_its_names(tmp_path, monkeypatch):
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(docstrings, "__file__", str(script))
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        harvest([("m", str(script))], 1)
