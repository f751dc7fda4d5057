// A table whose headers are buttons. A cell is [text or node, value to sort by].

const ORDER_ARROWS = { none: "↕", ascending: "▲", descending: "▼" };

function compared(one, two, direction) {
  const missing = (value) => value === null || value === undefined || value === "";
  if (missing(one) || missing(two)) return missing(one) - missing(two); // last in both directions
  const order = typeof one === "number" ? one - two : String(one).localeCompare(String(two), "en");
  return direction === "descending" ? -order : order;
}

function sortedRows(rows, column, direction) {
  return [...rows].sort((a, b) => compared(a.keys[column], b.keys[column], direction));
}

function makeHeader(column, onSort) {
  if (column.mark) { // too narrow for a button
    const said = make("span", { class: "hidden-label" }, column.name);
    return make("th", { scope: "col", class: "mark" }, said);
  }
  const arrow = make("span", { class: "arrow", "aria-hidden": "true" }, ORDER_ARROWS.none);
  const below = column.numeric ? [arrow, " ", column.unit ?? ""] : [column.unit ?? "", " ", arrow];
  const button = make("button", { type: "button" }, make("span", {}, column.name), " ",
    make("span", { class: "unit" }, ...below));
  button.addEventListener("click", onSort);
  const classes = column.numeric ? "numeric" : null;
  return make("th", { scope: "col", class: classes, "aria-sort": "none" }, button);
}

function markSorted(headers, column, direction) {
  headers.forEach((header, number) => {
    if (!header.hasAttribute("aria-sort")) return;
    const state = number === column ? direction : "none";
    header.setAttribute("aria-sort", state);
    header.querySelector(".arrow").textContent = ORDER_ARROWS[state];
  });
}

function makeRow(columns, cells, data) {
  const nodes = cells.map(([content, , more = {}], number) => {
    const { numeric, mark } = columns[number];
    const classes = [numeric && "numeric", mark && "mark", more.best && "best"].filter(Boolean).join(" ");
    const heading = number === 0 ? { scope: "row" } : {};
    const detail = more.detail ? make("span", { class: "detail-line" }, more.detail) : null;
    const given = { class: classes || null, title: more.title, ...heading };
    return make(number === 0 ? "th" : "td", given, content, detail && " ", detail);
  });
  const keys = cells.map(([content, key], number) =>
    columns[number].numeric ? key : (key ?? content),
  );
  return { node: make("tr", {}, ...nodes), keys, data };
}

/** `order` holds the rows as they stand; `keep` hides those that a filter refuses. */
function sortableTable(host, caption, columns, lines, classes = "") {
  const rows = lines.map(({ cells, data }) => makeRow(columns, cells, data));
  const body = make("tbody");
  const table = { rows, order: rows, onSort: () => {} };
  const headers = columns.map((column, number) => makeHeader(column, () => toggle(number)));
  const state = { column: -1, direction: "none" };

  function sortBy(column, direction) {
    Object.assign(state, { column, direction });
    table.order = sortedRows(rows, column, direction);
    markSorted(headers, column, direction);
    body.replaceChildren(...table.order.map((row) => row.node));
    table.onSort();
  }

  function toggle(column) {
    const first = columns[column].numeric ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const again = state.column === column && state.direction === first;
    sortBy(column, again ? second : first);
  }

  table.sortBy = sortBy;
  table.keep = (accepts) => {
    for (const row of rows) row.node.hidden = !accepts(row);
    return rows.filter((row) => !row.node.hidden).length;
  };
  body.append(...rows.map((row) => row.node));
  const title = make("caption", {}, make("span", { class: "hidden-label" }, caption));
  const head = make("thead", {}, make("tr", {}, ...headers));
  host.replaceChildren(make("table", { class: classes }, title, head, body));
  return table;
}

function scrollBox(label, classes = "") {
  return make("div", {
    class: `scroll ${classes}`, tabindex: "0", role: "region", "aria-label": label,
  });
}

function matcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (row) => {
    const said = row.node.textContent.toLowerCase();
    return words.every((word) => said.includes(word));
  };
}
