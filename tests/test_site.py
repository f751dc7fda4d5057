"""The site: it builds without a warning, has a page for everything, and needs no network."""

import logging
import re
from collections import Counter
from pathlib import Path

import pytest

from recross.command.catalogue import list_options

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what was said while it was built."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder, said = tmp_path_factory.mktemp("site"), []
    listener = logging.Handler(logging.WARNING)
    listener.emit = said.append
    logging.getLogger("mkdocs").addHandler(listener)
    build(load_config(str(DOCS.parent / "mkdocs.yml"), site_dir=str(folder)))
    logging.getLogger("mkdocs").removeHandler(listener)
    return folder, [record.getMessage() for record in said]


def test_the_site_builds_without_a_warning_and_has_a_page_of_options_for_each_group(site):
    folder, said = site
    assert said == []
    for group, names in list_options().items():
        page = (folder / "reference" / "options" / f"{group}.html").read_text(encoding="utf-8")
        assert all(f"{group}={name}" in page for name in names)


def test_every_page_and_notebook_is_in_the_navigation(site):
    home = (site[0] / "index.html").read_text(encoding="utf-8")
    for page in (*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")):
        address = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert f'href="{address}"' in home, page


def test_a_browser_loads_nothing_of_the_site_from_elsewhere(site):
    loaded = re.compile(
        r"<(?:script|img|iframe|source|video|link)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//"
    )
    for path in site[0].rglob("*.html"):
        assert loaded.findall(path.read_text(encoding="utf-8")) == [], path
    for path in site[0].rglob("*.css"):
        styles = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles), path


def test_no_page_is_in_the_navigation_twice(site):
    page = (site[0] / "scale.html").read_text(encoding="utf-8")
    links = Counter(re.findall(r'<a href="([^"#]+)" class="md-nav__link', page))
    assert len(links) > 50
    assert not [link for link, times in links.items() if times > 1]


def test_lines_end_after_signs_and_not_before_the_name_of_an_option(site):
    options = (site[0] / "reference" / "options" / "reranker.html").read_text(encoding="utf-8")
    assert "<code>answerai_<wbr>colbert_<wbr>small</code>" in options
    results = (site[0] / "reference" / "results.html").read_text(encoding="utf-8")
    assert '<code class="whole">--write-reference</code>' in results
    commands = (site[0] / "reference" / "commands.html").read_text(encoding="utf-8")
    assert '<span class="whole">--qrels</span>' in commands


@pytest.mark.ci
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_cut_on_the_right(site, browser, width):
    """On a wide page no table or code, either; on a narrow one these are moved sideways."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(120_000)  # milliseconds; a machine may be busy
    boxes = ".md-typeset__scrollwrap, pre code" if width > 1000 else "html"
    cut = (
        "all => all.filter(n => n.scrollWidth > n.clientWidth).map(n => n.textContent.slice(0, 40))"
    )
    for path in sorted(site[0].rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator(boxes).evaluate_all(cut) == [], path
    page.close()


@pytest.mark.ci
def test_a_page_opened_from_the_disk_is_searched_without_a_network(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)  # milliseconds; a machine may be busy
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site[0] / "how_to" / "train.html").as_uri())
    page.locator("input.md-search__input").click()
    page.keyboard.type("GradCache")
    found = page.locator(".md-search-result__item").first
    found.wait_for()
    assert "in-batch negatives" in found.inner_text()
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    page.close()
