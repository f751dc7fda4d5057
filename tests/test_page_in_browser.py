"""The page as a reader has it: in Chromium, by pointer and by keyboard, wide and narrow."""

import itertools
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from recross.command.evaluating import evaluate_run_files
from recross.report.finished import find_finished
from recross.report.page.page import write_page
from recross.report.tables.row_references import Reference
from recross.report.tables.rows import make_rows
from recross.runs import Run
from recross.store import write_json
from tests.small_study import (
    AFTER,
    BEFORE,
    FIRST,
    HOSTILE,
    STEPS,
    page_of,
    record,
    write_experiment,
    write_study,
)

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return page_of(write_study(tmp_path_factory.mktemp("study"))).as_uri()


@pytest.fixture(params=[WIDE, NARROW], ids=["1280", "390"])
def page(request, browser, address):
    """The page, which has said nothing on the console and asked for no other file in the end."""
    said, asked = [], []
    opened = browser.new_page(viewport=request.param)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    assert said == []
    assert asked == [address]
    opened.close()


def column(page, number):
    return page.locator(f"#results tbody tr > :nth-child({number})").all_inner_texts()


def header(page, name):
    button = page.get_by_role("button", name=name, exact=True)
    return page.locator("#results thead th").filter(has=button)


def test_a_click_on_a_header_sorts_numbers_as_numbers(page):
    latency = header(page, "p50 ms/100")
    assert latency.get_attribute("aria-sort") == "none"
    latency.get_by_role("button").click()
    assert column(page, 1) == ["slow", "quick", "first"]  # 10,000 before 2,000 before 12
    assert latency.get_attribute("aria-sort") == "descending"
    latency.get_by_role("button").click()
    assert column(page, 1) == ["first", "quick", "slow"]
    assert latency.get_attribute("aria-sort") == "ascending"


def test_missing_values_stay_last_in_both_directions(page):
    size = header(page, "size MB").get_by_role("button")
    size.click()
    assert column(page, 1) == ["slow", "quick", "first"]
    size.click()
    assert column(page, 1) == ["quick", "slow", "first"]


def test_the_keyboard_sorts_and_its_focus_is_seen(page):
    page.locator("#filter-rows").focus()
    page.keyboard.press("Tab")  # the box that scrolls
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text().startswith("model")
    assert focused.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert column(page, 1) == ["first", "quick", "slow"]
    page.keyboard.press("Space")
    assert column(page, 1) == ["slow", "quick", "first"]
    assert header(page, "model").get_attribute("aria-sort") == "descending"


def test_the_filter_keeps_rows_with_all_its_words(page):
    page.fill("#filter-rows", "QUI 0.62")
    assert page.locator("#results tbody tr:visible th").all_inner_texts() == ["quick"]
    assert page.inner_text("#row-count") == "1 of 3 rows"
    page.fill("#filter-rows", "")
    assert page.inner_text("#row-count") == "3 of 3 rows"


def test_a_query_opens_with_both_rankings_and_what_moved(page):
    assert re.sub(r"\s+", " ", page.inner_text("#outcome")) == (
        "2 ▲ B better 1 = equal 1 ▼ B worse"
    )
    page.get_by_role("button", name="one <b>bold</b> question").click()
    detail = page.locator("#queries article")
    assert detail.get_by_role("heading", level=3).inner_text() == "one <b>bold</b> question"
    before, after = detail.locator("ol").all()
    assert before.locator("li").count() == after.locator("li").count() == 10
    assert after.locator("li").first.inner_text().split("\n")[:4] == [
        *("1", "d12", "✓ relevant", "▲ 11 (from 12)"),
    ]
    assert "▼ 1 (from 1)" in after.locator("li").nth(1).inner_text()
    assert "▼ 1 (to 11)" in before.locator("li").last.inner_text()
    assert "relevant at rank 12" in detail.inner_text()
    assert "relevant at rank 1\n" in detail.inner_text() + "\n"


def test_hostile_texts_are_shown_and_never_run(page):
    page.get_by_role("button", name="window.hacked").click()
    assert page.locator("#query-title").text_content() == HOSTILE
    assert page.locator("#queries li.relevant .id").all_inner_texts() == ["d2", "d2"]
    assert page.locator("#queries .snippet").last.text_content() in ("the first document", HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_queries_are_listed_by_their_difference_and_filtered_by_their_outcome(page):
    def gaps():
        return page.locator("#queries tbody tr:visible td:nth-child(2)").all_inner_texts()

    assert gaps() == ["+0.5000", "+0.5000", "0.0000", "−0.2500"]
    page.get_by_label("Show").select_option("worse")
    assert gaps() == ["−0.2500"]
    assert page.inner_text("#query-count") == "1 of 4 queries"


def test_the_bars_open_a_query_by_keyboard(page):
    page.get_by_role("application").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.locator("#query-title").text_content() == HOSTILE  # the one that lost
    assert page.locator(":focus").get_attribute("id") == "query-title"


def test_another_pair_is_compared_once_chosen(page):
    page.get_by_label("B, compared with A").select_option(label="slow")
    assert page.inner_text("#outcome b >> nth=1") == "4"


def test_points_tell_what_they_are_when_focused(page):
    point = page.locator("#quality .point").filter(has=page.locator("rect"))
    assert point.get_attribute("aria-label").startswith("first (first stage), MRR@10 0.4375")
    point.focus()
    assert "p50 12 ms" in page.inner_text("#quality .tip")


def test_curves_are_read_by_the_arrow_keys(page):
    dev = page.locator("#curves svg").last
    dev.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#curves .readout").last.inner_text() == "dev MRR@10 0.5000 at step 2"


def test_no_page_is_wider_than_its_window(page):
    page.get_by_role("button", name="window.hacked").click()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.viewport_size["width"]
    assert page.locator("#results .scroll").evaluate("node => node.clientWidth") < width


def test_dark_and_light_differ(page):
    def ground():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    light = ground()
    page.emulate_media(color_scheme="dark")
    assert (light, ground()) == ("rgb(255, 255, 255)", "rgb(20, 23, 27)")


def test_headings_descend_one_level_at_a_time(page):
    page.get_by_role("button", name="two").click()
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A study of two measures and long names, whose points lie close together."""
    folder = tmp_path_factory.mktemp("crowded")
    measures = ("MRR@10", "nDCG@10")
    for number in range(14):
        label = f"bi-encoder + embedded_l{number} with a long name, at depth {number}"
        found = record(label, AFTER, BEFORE, latency=900.0 + 40 * (number % 7))
        found |= {
            "measures": dict.fromkeys(measures, 0.5 + 0.004 * number),
            "intervals": dict.fromkeys(measures, (0.45, 0.6)),
            "first_stage_measures": dict.fromkeys(measures, 0.4),
            "p_values": dict.fromkeys(measures, 0.0001 if number > 4 else 0.9),
        }
        write_json(folder / str(number) / "result.json", found)
    return page_of(folder).as_uri()


@pytest.fixture(params=[WIDE, NARROW], ids=["1280", "390"])
def crowded_page(request, browser, crowded):
    opened = browser.new_page(viewport=request.param)
    opened.goto(crowded)
    yield opened
    opened.close()


def boxes(page, selector):
    """Left, top, right and bottom of each."""
    corners = "b => [b.left, b.top, b.right, b.bottom]"
    every = f"all => all.map(n => n.getBoundingClientRect()).map({corners})"
    return page.locator(selector).evaluate_all(every)


def touch(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_all_columns_are_seen_on_a_wide_page_and_a_second_measure_on_a_narrow_one(crowded_page):
    box = crowded_page.locator("#results .scroll")
    hidden = box.evaluate("node => node.scrollWidth - node.clientWidth")
    (second,) = boxes(crowded_page, "#results thead th:has-text('nDCG@10'):not(.mark)")
    assert second[2] <= crowded_page.viewport_size["width"]
    assert (hidden == 0) == (crowded_page.viewport_size == WIDE)


def test_all_columns_are_seen_beside_published_values(browser, tmp_path):
    names = ("bi-encoder", "bi-encoder + minilm_l6", "bi-encoder + bert_large")
    told = {}
    for label in names:
        measures = ("MRR@10", "nDCG@10")
        found = record(label, AFTER, BEFORE, reranks=label != names[0], latency=2430.0) | {
            "measures": dict.fromkeys(measures, 0.4),
            "intervals": dict.fromkeys(measures, (0.3, 0.45)),
            "first_stage_measures": dict.fromkeys(measures, 0.32),
            "p_values": dict.fromkeys(measures, 0.0001),
        }
        write_json(tmp_path / label / "result.json", found)
        told[label] = Reference(
            label, 0.311, 1420.0, 1340.0, 0.3647, "a paper", found["candidates"]
        )
    finished = find_finished([tmp_path])
    path = write_page(make_rows([one.record for one in finished], told), finished, tmp_path)
    opened = browser.new_page(viewport=WIDE)
    opened.goto(path.as_uri())
    box = opened.locator("#results .scroll")
    assert opened.locator("#results thead th").count() == 16
    assert box.evaluate("node => node.scrollWidth - node.clientWidth") == 0
    opened.set_viewport_size(NARROW)
    (second,) = boxes(opened, "#results thead th:has-text('nDCG@10'):not(.mark)")
    assert second[2] <= NARROW["width"]
    opened.close()


def ends(page, selector):
    """Where what stands in each ends on the right, blanks that align included."""
    range_of = "n => {const r = document.createRange(); r.selectNodeContents(n); return r}"
    right = f"({range_of})(n).getBoundingClientRect().right"
    return page.locator(selector).evaluate_all(f"all => all.map(n => Math.round({right}))")


def test_names_of_columns_stand_above_their_numbers(crowded_page):
    heads = ends(crowded_page, "#results thead th:not(.mark) button")
    for number, numeric in enumerate(crowded_page.locator("#results thead th:not(.mark)").all()):
        if "numeric" not in (numeric.get_attribute("class") or ""):
            continue
        selector = f"#results tbody tr > :nth-child({number + 1} of :not(.mark))"
        assert {abs(end - heads[number]) <= 1 for end in ends(crowded_page, selector)} == {True}


def test_all_columns_of_the_queries_are_seen(page):
    box = page.locator("#queries .scroll")
    assert box.evaluate("node => node.scrollWidth - node.clientWidth") == 0


def test_names_that_have_room_are_not_cut(browser, tmp_path):
    name = "bi-encoder + embedded_reranker (shipped), interpolated (0.85)"
    for label, latency in (("quick", 20.0), (name, 2000.0)):
        write_json(tmp_path / label / "result.json", record(label, AFTER, BEFORE, latency=latency))
    opened = browser.new_page(viewport=WIDE)
    opened.goto(page_of(tmp_path).as_uri())
    assert name in opened.locator("#quality .point-label").all_text_contents()
    opened.close()


def test_lines_of_other_trainings_say_whose_they_are(browser, tmp_path):
    for label, values in (("quick", AFTER), ("slow", BEFORE)):
        found = record(label, values, BEFORE)
        orders = (FIRST, FIRST)
        write_experiment(tmp_path / label, found, values, BEFORE, orders, steps=STEPS)
    opened = browser.new_page(viewport=NARROW)
    opened.goto(page_of(tmp_path).as_uri())
    dev = opened.locator("#curves svg").last
    assert dev.locator("text", has_text="slow, seed 0").count() == 1
    assert opened.locator("#curves select").evaluate("n => n.selectedOptions[0].text") == (
        "quick, seed 0"
    )
    opened.close()


def test_every_mark_has_a_label_and_no_label_lies_on_another_or_on_a_mark(crowded_page):
    labels, marks = (boxes(crowded_page, f"#quality {name}") for name in (".point-label", ".mark"))
    assert len(labels) == len(marks) == 14
    pairs = [*itertools.combinations(labels, 2), *itertools.product(labels, marks)]
    assert not [(a, b) for a, b in pairs if touch(a, b)]
    named = crowded_page.locator("#quality .point-label").all_text_contents()
    if named[0] == "1":  # without room for names
        named = crowded_page.locator("#quality ol li").all_inner_texts()
    assert len(set(named)) == 14
    assert all(name.startswith("bi-encoder + embedded_l") for name in named)


def test_the_front_is_drawn_and_marks_of_significance_have_a_column(crowded_page):
    assert crowded_page.locator("#quality path.front").count() == 1
    assert crowded_page.locator("#results td.mark").all_inner_texts().count("▲") == 2 * 9
    assert crowded_page.locator("#results td.best").count() == 2


def test_a_sentence_says_what_was_found(page):
    assert page.inner_text("#finding").startswith("quick is best in MRR@10: 0.6250")


def test_a_query_has_an_address_that_opens_it_again(browser, address):
    page, other = browser.new_page(), browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="two").click()
    link = page.url
    said = parse_qs(urlsplit(link).fragment)
    assert said == {"query": ["q2"], "a": ["first"], "b": ["quick"]}
    other.goto(link.replace("b=quick", "b=slow"))
    assert other.locator("#query-title").text_content() == "two"
    chosen = other.get_by_label("B, compared with A")
    assert chosen.evaluate("node => node.selectedOptions[0].text") == "slow"
    page.close()
    other.close()


def test_a_link_to_what_is_not_there_opens_nothing(address, browser):
    opened = browser.new_page()
    said = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    for part in ("query=q2&a=gone&b=quick", "query=gone&a=first&b=quick", "results"):
        opened.goto(f"{address}#{part}")
        opened.reload()
        assert opened.locator("#queries article:visible").count() == 0
    assert said == []
    opened.close()


def save(page, button, folder):
    with page.expect_download() as waited:
        page.get_by_role("button", name=button, exact=True).click()
    path = folder / button
    waited.value.save_as(path)
    return path.read_bytes()


def test_tables_and_drawings_are_saved_as_files(browser, address, tmp_path):
    page = browser.new_page(viewport=WIDE)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(address)
    files = json.loads(page.locator("#data").text_content())["table"]["files"]
    assert [file["name"] for file in files] == ["table.csv", "table.tex"]
    for file in files:
        assert save(page, file["name"], tmp_path).decode() == file["text"]
    drawing = save(page, "quality_latency.svg", tmp_path).decode()
    assert 'xmlns="http://www.w3.org/2000/svg"' in drawing
    assert "class=" not in drawing
    assert "quick" in drawing
    assert save(page, "quality_latency.png", tmp_path).startswith(b"\x89PNG")
    assert said == []
    page.close()


def test_runs_alone_have_a_page_with_their_measures_and_an_explorer(browser, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 a 1\nq2 0 b 1\n")
    names = {"first": {"a": 2.0, "b": 1.0}, "ours": {"a": 1.0, "b": 2.0}}
    for name, scores in names.items():
        Run.from_scores(name, {"q1": scores, "q2": {"b": 1.0}}).write(tmp_path / f"{name}.trec")
    files = [f"{name}={tmp_path / name}.trec" for name in names]
    where = ["--qrels", str(tmp_path / "qrels"), "--output", str(tmp_path / "out")]
    evaluate_run_files([*files, *where, "--measures", "RR", "P@1"])
    page, said = browser.new_page(viewport=NARROW), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "out" / "table.html").as_uri())
    assert page.locator("nav a").all_inner_texts() == [
        *("Results", "Measures", "Queries", "Environment"),
    ]
    drawn = page.locator("#quality .point").evaluate_all(
        "all => all.map(node => node.getAttribute('aria-label'))"
    )
    assert [label.split(":")[0] for label in drawn] == ["first", "ours"] * 2
    assert "first: 1.0000 [" in drawn[0]
    page.get_by_role("button", name="q1").click()
    assert page.locator("#query-title").text_content() == "q1"
    assert said == []
    page.set_viewport_size(WIDE)
    ((left, _, right, _),) = boxes(page, "#results table")
    assert right - left < 700  # its columns stay together
    page.close()
