// Query by query: where one system is better than another, and what it moved.

const TIE = 1e-6;

function differences(group, one, two) {
  return group.queries.map((query, at) => {
    const [before, after] = [one.values[at], two.values[at]];
    const known = before !== null && after !== null;
    return { query, at, before, after, gap: known ? after - before : null };
  }).filter(({ gap }) => gap !== null);
}

function verdict(gap) {
  if (gap > TIE) return "better";
  return gap < -TIE ? "worse" : "equal";
}

function verdicts(pairs) {
  const found = { better: 0, equal: 0, worse: 0 };
  for (const { gap } of pairs) found[verdict(gap)] += 1;
  return found;
}

function outcomeLine([wins, ties, losses]) {
  const part = (classes, number, said) =>
    make("span", { class: classes }, make("b", {}, number.toLocaleString("en")), ` ${said}`);
  return make("p", { class: "outcome", id: "outcome" },
    part("is-better", wins, "▲ B better"), part("muted", ties, "= equal"), part("is-worse", losses, "▼ B worse"));
}

function barLabels({ better, equal, worse }, left, width, height) {
  const labels = [];
  const put = (x, y, anchor, classes, text) =>
    labels.push(draw("text", { x, y, "text-anchor": anchor, class: classes, "aria-hidden": "true" }, text));
  const step = (width - left) / (better + equal + worse);
  if (better) put(left, 12, "start", "tick better", `B better: ${better}`);
  if (worse) put(width, height - 4, "end", "tick worse", `B worse: ${worse}`);
  if (equal) put(left + (better + equal / 2) * step, height / 2 - 6, "middle", "tick", `equal: ${equal}`);
  return labels;
}

/** Sorted bars; one stop of the Tab key, arrows move, Enter opens. */
function drawDifferences(host, pairs, measure, open, width) {
  const [height, left] = [200, 46];
  const sorted = [...pairs].sort((a, b) => b.gap - a.gap);
  const most = Math.max(...sorted.map(({ gap }) => Math.abs(gap)), 0.01);
  const y = linear(-most, most, height - 20, 20);
  const step = (width - left) / sorted.length;
  const drawing = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: "0", role: "application",
    "aria-label": `Differences in ${measure}, B minus A, sorted; arrow keys choose a query, Enter opens it` });
  for (const value of [-most, 0, most]) {
    drawing.append(
      draw("line", { class: value ? "grid" : "zero", x1: left, x2: width, y1: y(value), y2: y(value) }),
      draw("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, signed(value, 2)));
  }
  sorted.forEach(({ gap }, number) => {
    const [top, bottom] = [Math.min(y(gap), y(0)), Math.max(y(gap), y(0))];
    drawing.append(draw("rect", { class: verdict(gap), x: left + number * step, y: top,
      width: Math.max(step - (step > 3 ? 1 : 0), 0.5), height: bottom - top }));
  });
  drawing.append(...barLabels(verdicts(pairs), left, width, height));
  const tip = make("div", { class: "tip", hidden: "", role: "status" });
  host.replaceChildren(drawing, tip);
  chooseBars(drawing, tip, host, sorted, { left, step, y, height }, open);
}

function chooseBars(drawing, tip, host, sorted, { left, step, y, height }, open) {
  const cursor = draw("rect", { class: "cursor", visibility: "hidden", y: 16, height: height - 32 });
  drawing.append(cursor);
  let at = 0;
  const tell = (next) => {
    at = Math.min(sorted.length - 1, Math.max(0, next));
    const { query, gap } = sorted[at];
    filled(cursor, { x: left + at * step - 1, width: Math.max(step + 1, 3), visibility: "visible" }, []);
    placeTip(tip, host, left + at * step, y(Math.max(gap, 0)) + 20, `${signed(gap)}\n${query.text ?? query.id}`);
  };
  const hush = () => { tip.hidden = true; cursor.setAttribute("visibility", "hidden"); };
  const under = (event) => Math.floor((event.clientX - drawing.getBoundingClientRect().left - left) / step);
  drawing.addEventListener("pointermove", (event) => tell(under(event)));
  drawing.addEventListener("pointerleave", hush);
  drawing.addEventListener("focus", () => { if (drawing.matches(":focus-visible")) tell(at); });
  drawing.addEventListener("blur", hush);
  drawing.addEventListener("click", (event) => { tell(under(event)); open(sorted[at].at); });
  drawing.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -sorted.length, End: sorted.length };
    if (event.key === "Enter") open(sorted[at].at);
    else if (moves[event.key]) tell(at + moves[event.key]);
    else return;
    event.preventDefault();
  });
}

function queryButton(query, open) {
  const button = make("button", { type: "button", class: "link" }, query.text ?? query.id);
  button.addEventListener("click", open);
  return button;
}

function queryTable(host, pairs, measure, open) {
  const columns = [
    { name: "query", numeric: false }, { name: "B − A", numeric: true },
    { name: "A", unit: measure, numeric: true }, { name: "B", unit: measure, numeric: true },
  ];
  const shown = (value) => [value.toFixed(4), value];
  const lines = pairs.map((pair) => ({
    data: pair,
    cells: [
      [queryButton(pair.query, () => open(pair.at)), pair.query.text ?? pair.query.id],
      [signed(pair.gap), pair.gap], shown(pair.before), shown(pair.after),
    ],
  }));
  const table = sortableTable(host, "Queries", columns, lines, "queries");
  for (const { node, data } of table.rows) {
    const said = verdict(data.gap);
    if (said !== "equal") node.children[1].classList.add(`is-${said}`);
  }
  table.sortBy(1, "descending");
  return table;
}

function queryFilters(table, total) {
  const text = make("input", { type: "search", id: "filter-queries", autocomplete: "off" });
  const status = make("p", { class: "muted small", role: "status", id: "query-count" });
  const choices = [["all", "all"], ["better", "B better"], ["equal", "equal"], ["worse", "B worse"]];
  const refresh = () => {
    const says = matcher(text.value);
    const kept = table.keep((row) =>
      says(row) && (which.value === "all" || verdict(row.data.gap) === which.value));
    status.textContent = `${kept} of ${counted(total, "query", "queries")}`;
  };
  const which = select(choices, refresh);
  text.addEventListener("input", refresh);
  refresh();
  return make("div", { class: "controls" },
    labelled("Filter queries", text, "field wide"), labelled("Show", which), status);
}

function stepButton(title, target, open) {
  const button = make("button", { type: "button" }, title);
  button.disabled = target === undefined;
  button.addEventListener("click", () => open(target));
  return button;
}

/** Where a query of a pair of systems is found again: the part of an address after its hash. */
function linkTo(one, two, query) {
  return "#" + new URLSearchParams({ query: query.id, a: one.label, b: two.label });
}

function readLink({ systems }) {
  const said = new URLSearchParams(location.hash.slice(1));
  const find = (label) => systems.findIndex((system) => system.label === label);
  const [first, second] = [find(said.get("a")), find(said.get("b"))];
  const isPair = first >= 0 && second >= 0 && first !== second && systems[first].group === systems[second].group;
  return said.has("query") && isPair ? { first, second, query: said.get("query") } : null;
}

function showQuery(host, group, one, two, pair, neighbours, open) {
  const { query, before, after, gap, at } = pair;
  const title = make("h3", { tabindex: "-1", id: "query-title" }, query.text ?? query.id);
  const value = `${group.measure}: A ${before.toFixed(4)}, B ${after.toFixed(4)}, difference ${signed(gap)}`;
  const controls = make("div", { class: "controls" },
    make("p", { class: "muted small" }, `Query ${query.id}. ${value}. `,
      make("a", { href: linkTo(one, two, query) }, "Link to this query")),
    make("div", {}, stepButton("Previous", neighbours.previous, open), " ", stepButton("Next", neighbours.next, open)));
  host.replaceChildren(title, controls, rankingsOf(group, query, one, two, at));
  host.hidden = false;
  title.focus();
  title.scrollIntoView({ block: "start" });
}

function neighboursOf(table, at) {
  const visible = table.order.filter((row) => !row.node.hidden).map((row) => row.data.at);
  const place = visible.indexOf(at);
  return { previous: visible[place - 1], next: place < 0 ? undefined : visible[place + 1] };
}

function sampleText(group, pairs) {
  const shown = pairs.length === group.judged
    ? "All of them are listed below."
    : `Listed below: ${pairs.length} of them, drawn by a checksum of their ids.`;
  const bare = group.queries.every(({ text }) => text === null)
    ? " These experiments kept no texts: identifiers only." : "";
  return `Counted over all judged test queries. ${shown}${bare}`;
}

function comparePair(host, exploration, first, second) {
  const [one, two] = [exploration.systems[first], exploration.systems[second]];
  const group = exploration.groups[one.group];
  const pairs = differences(group, one, two);
  host.replaceChildren(outcomeLine(exploration.outcomes[first][second]),
    make("p", { class: "muted small" }, sampleText(group, pairs)));
  if (!pairs.length) return () => {};
  const [plot, box] = [make("div", { class: "plot" }), scrollBox("Queries", "tall")];
  const detail = make("article", { class: "detail", hidden: "", "aria-labelledby": "query-title" });
  const open = (at) => {
    for (const row of table.rows) row.node.classList.toggle("chosen", row.data.at === at);
    const pair = pairs.find((candidate) => candidate.at === at);
    showQuery(detail, group, one, two, pair, neighboursOf(table, at), open);
    history.replaceState(null, "", linkTo(one, two, pair.query));
  };
  const table = queryTable(box, pairs, group.measure, open);
  host.append(make("h3", {}, `Difference in ${group.measure} by query, B\u00a0−\u00a0A`), plot,
    queryFilters(table, pairs.length), box, detail);
  drawnToWidth(plot, (width) => drawDifferences(plot, pairs, group.measure, open, width));
  return (id) => {
    const pair = pairs.find(({ query }) => query.id === id);
    if (pair) open(pair.at);
  };
}

function partners(systems, first) {
  return systems.map((system, number) => [number, system.label])
    .filter(([number]) => number !== first && systems[number].group === systems[first].group);
}

function bestPartner(systems, first) {
  const numbers = partners(systems, first).map(([number]) => number);
  return numbers.reduce((best, number) => (systems[number].mean > systems[best].mean ? number : best), numbers[0]);
}

/** The best re-ranker against its own first stage; two first stages where nothing was re-ranked. */
function firstPair({ systems, first_stages: firstStages }, comparable) {
  const able = (number) => systems[number].kind !== "first stage" && firstStages[number] !== null;
  const reranking = comparable.filter(able).sort((a, b) => systems[b].mean - systems[a].mean);
  if (reranking.length) return { first: firstStages[reranking[0]], second: reranking[0] };
  return { first: comparable[0], second: bestPartner(systems, comparable[0]) };
}

function showExplorer(host, exploration) {
  const { systems } = exploration;
  const comparable = systems.map((_, number) => number).filter((number) => partners(systems, number).length);
  if (!comparable.length) {
    host.append(make("p", { class: "muted" }, "Two rankings of the same queries are needed to compare; there are none."));
    return;
  }
  const body = make("div");
  const state = firstPair(exploration, comparable);
  const refresh = () => comparePair(body, exploration, state.first, state.second);
  const follow = () => {
    const link = readLink(exploration);
    if (!link) return;
    state.second = link.second;
    first.value = String(link.first);
    chooseFirst(link.first)(link.query);
  };
  const chooseSecond = (value) => { state.second = Number(value); refresh(); };
  const chooseFirst = (value) => {
    state.first = Number(value);
    const offered = partners(systems, state.first);
    if (!offered.some(([number]) => number === state.second)) state.second = bestPartner(systems, state.first);
    second.replaceChildren(...offered.map(([number, label]) => make("option", { value: number }, label)));
    second.value = String(state.second);
    return refresh();
  };
  const first = select(comparable.map((number) => [number, systems[number].label]), chooseFirst);
  const second = select([], chooseSecond);
  host.append(make("div", { class: "controls" },
    labelled("A", first, "field widest"), labelled("B, compared with A", second, "field widest")), body);
  first.value = String(state.first);
  chooseFirst(state.first);
  follow();
  window.addEventListener("hashchange", follow);
}
