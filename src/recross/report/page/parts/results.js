// The table of the study, the machines and the commands.

function showResults(host, { columns, rows, note, sources, files }) {
  const box = scrollBox("Table of results", "fit");
  const lines = rows.map(([[short, label], ...rest]) =>
    ({ cells: [[breakable(short), label, { title: label }], ...rest], data: null }));
  const table = sortableTable(box, "Results of the study", columns, lines, "results");
  const filter = make("input", { type: "search", id: "filter-rows", autocomplete: "off" });
  const count = make("p", { class: "muted small", role: "status", id: "row-count" });
  const refresh = () => {
    const kept = table.keep(matcher(filter.value));
    count.textContent = `${kept} of ${counted(rows.length, "row")}`;
  };
  filter.addEventListener("input", refresh);
  refresh();
  const controls = make("div", { class: "controls" }, labelled("Filter rows", filter, "field wide"), count);
  const said = sources.map((source) => make("li", {}, source));
  host.append(controls, box, downloadBar(files.map(({ name, text }) => [name, () => saveText(name, text)])),
    make("p", { class: "muted small" }, note));
  if (said.length) {
    host.append(make("h3", {}, "Published values"), make("ul", { class: "small" }, ...said));
  }
}

function plainTable(caption, columns, rows) {
  const head = columns.map((name) => make("th", { scope: "col", class: "plain" }, name));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell))),
  );
  const title = make("caption", {}, make("span", { class: "hidden-label" }, caption));
  const table = make("table", { class: "environment" }, title);
  if (head.length) table.append(make("thead", {}, make("tr", {}, ...head)));
  table.append(make("tbody", {}, ...body));
  const box = scrollBox(caption, "fit");
  box.append(table);
  return box;
}

function commandBlock({ command, experiments }) {
  const listed = experiments.map((name) => make("li", {}, name));
  return make("div", {},
    make("pre", { tabindex: "0" }, make("code", {}, command)),
    make("details", { class: "small" },
      make("summary", {}, `made ${counted(experiments.length, "experiment")}`),
      make("ul", {}, ...listed)),
  );
}

function showEnvironment(host, environment, commands) {
  host.append(make("h3", {}, "Commands"));
  if (commands.length) host.append(...commands.map(commandBlock));
  else host.append(make("p", { class: "muted" }, "No command was recorded."));
  if (environment.own.length) {
    host.append(make("h3", {}, "What differs between experiments"));
    host.append(plainTable("What differs", environment.columns, environment.own));
  }
  if (environment.shared.length) {
    const shared = plainTable("What all share", [], environment.shared);
    host.append(make("h3", {}, environment.own.length ? "What all share" : "Machine and packages"), shared);
  }
  if (environment.missing) {
    const noun = counted(environment.missing, "experiment");
    host.append(make("p", { class: "muted" }, `${noun} without environment.json.`));
  }
}
