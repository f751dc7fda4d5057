// Two rankings of one query side by side.

const DEPTH = 10;

function topOf(ranking) {
  const places = ranking.ranks.map((rank, document) => ({ rank, document }));
  return places.filter(({ rank }) => rank >= 1 && rank <= DEPTH).sort((a, b) => a.rank - b.rank);
}

/** How a document moved from one rank to another; 0 is not ranked. */
function moveText(from, to, here) {
  if (!from) return here === "to" ? "not in A" : "";
  if (!to) return "not in B";
  if (from === to) return "= stays";
  const arrow = to < from ? "▲" : "▼";
  return `${arrow} ${Math.abs(from - to)} (${here === "to" ? "from" : "to"} ${here === "to" ? from : to})`;
}

function moveClass(from, to) {
  if (!from || !to || from === to) return "move muted";
  return to < from ? "move is-better" : "move is-worse";
}

/** Scores of a ranking with one number of decimals, unless some are too small for that. */
function scoreTexts(scores) {
  const texts = scores.map(String);
  if (texts.some((text) => text.includes("e"))) return texts;
  const digits = Math.max(0, ...texts.map((text) => (text.split(".")[1] ?? "").length));
  return scores.map((score) => score.toFixed(digits));
}

function documentItem({ rank, document }, score, query, texts, move) {
  const id = query.documents[document];
  const isRelevant = Boolean(query.relevant?.includes(id));
  const line = make("div", { class: "document-line" },
    make("span", { class: "rank" }, String(rank)),
    make("span", { class: "id" }, breakable(id)),
    isRelevant ? make("span", { class: "badge" }, "✓ relevant") : null,
    make("span", { class: move.classes }, move.text),
    make("span", { class: "score" }, score ?? ""));
  const text = Object.hasOwn(texts, id) ? make("p", { class: "snippet" }, texts[id]) : null;
  return make("li", { class: isRelevant ? "relevant" : null, "data-document": document }, line, text);
}

function relevantRanks(query, ranking) {
  if (!query.relevant) return "relevant documents were not recorded";
  if (!query.relevant.length) return "no relevant document";
  const ranks = query.relevant.map((id) => ranking.ranks[query.documents.indexOf(id)] || 0);
  const found = ranks.filter(Boolean).sort((a, b) => a - b);
  const missed = ranks.length - found.length;
  const said = found.length ? `relevant at rank ${found.slice(0, DEPTH).join(", ")}` : "";
  return [said, missed ? counted(missed, "relevant document") + " not ranked" : ""].filter(Boolean).join("; ");
}

function rankingColumn(title, query, texts, own, before, after, here) {
  const heading = [make("h4", {}, breakable(title))];
  if (!own) return make("div", {}, ...heading, make("p", { class: "muted" }, "The run file is gone."));
  heading.push(make("p", { class: "muted small" }, relevantRanks(query, own)));
  const scores = scoreTexts(own.scores);
  const items = topOf(own).map((place) => {
    const [from, to] = [before?.ranks[place.document], after?.ranks[place.document]];
    const moved = before && after;
    const move = {
      text: moved ? moveText(from, to, here) : "",
      classes: moved ? moveClass(from, to) : "move",
    };
    return documentItem(place, scores[place.rank - 1], query, texts, move);
  });
  if (!items.length) heading.push(make("p", { class: "muted" }, "Nothing was ranked."));
  return make("div", {}, ...heading, make("ol", { class: "rankings" }, ...items));
}

function pairDocuments(host) {
  const mark = (event, on) => {
    const item = event.target.closest?.("li[data-document]");
    if (!item) return;
    const same = host.querySelectorAll(`li[data-document="${item.dataset.document}"]`);
    for (const other of same) other.classList.toggle("paired", on);
  };
  host.addEventListener("pointerover", (event) => mark(event, true));
  host.addEventListener("pointerout", (event) => mark(event, false));
}

function rankingsOf(group, query, one, two, at) {
  const [before, after] = [one.rankings?.[at], two.rankings?.[at]];
  const pair = make("div", { class: "pair" },
    rankingColumn(`A: ${one.label}`, query, group.texts, before, before, after, "from"),
    rankingColumn(`B: ${two.label}`, query, group.texts, after, before, after, "to"));
  pairDocuments(pair);
  return pair;
}
