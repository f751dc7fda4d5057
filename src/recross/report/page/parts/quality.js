// Quality against latency; the area of a circle is the size of the model.

const RADIUS = { least: 4, most: 15, unknown: 4 };

function radii(points) {
  const largest = Math.max(...points.map((point) => point.size_mb || 0));
  return (point) => {
    if (!point.size_mb) return RADIUS.unknown;
    return Math.max(RADIUS.least, RADIUS.most * Math.sqrt(point.size_mb / largest));
  };
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
    found.push(...[1, 2, 5].map((part) => part * 10 ** power));
  }
  return found.filter((value) => value >= low && value <= high);
}

/** Ticks that leave room for their numbers; powers of ten go last. */
function spaced(values, x, room) {
  const isTooNear = (list) => list.some((value, at) => at && x(value) - x(list[at - 1]) < room);
  const isPower = (value) => Number.isInteger(Math.log10(value));
  return isTooNear(values) && values.some(isPower) ? values.filter(isPower) : values;
}

function qualityScales(points, width, height, edge) {
  const latencies = points.map((point) => point.latency);
  const [fast, slow] = [Math.min(...latencies) / 1.6, Math.max(...latencies) * 1.6];
  const [low, high] = [Math.min(...points.map((p) => p.low)), Math.max(...points.map((p) => p.high))];
  const pad = (high - low) * 0.06 || 0.01;
  const logged = linear(Math.log10(fast), Math.log10(slow), edge.left, width - edge.right);
  const x = (value) => logged(Math.log10(value));
  return {
    x,
    y: linear(low - pad, high + pad, height - edge.bottom, edge.top),
    across: spaced(logTicks(fast, slow), x, 34),
    up: ticks(low - pad, high + pad, 6),
  };
}

function qualityAxes({ x, y, across, up }, width, height, edge, measure) {
  const [left, right, bottom] = [edge.left, width - edge.right, height - edge.bottom];
  const said = tickLabels(up);
  const horizontal = up.flatMap((value, number) => [
    draw("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
    draw("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, said[number]),
  ]);
  const vertical = across.flatMap((value) => [
    draw("line", { class: "grid", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 5 }),
    draw("text", { class: "tick", x: x(value), y: bottom + 18, "text-anchor": "middle" }, compact(value)),
  ]);
  const names = [
    draw("text", { class: "axis-name", x: 0, y: 12 }, `${measure}, 95 % interval`),
    draw("text", { class: "axis-name", x: right, y: height - 4, "text-anchor": "end" },
      "ms per 100 documents, log scale"),
  ];
  return [...horizontal, ...vertical, ...names];
}

function pointShape(point, cx, cy, r) {
  if (point.kind !== "first stage") {
    return draw("circle", { class: point.kind === "interpolated" ? "mark interpolated" : "mark", cx, cy, r });
  }
  const side = r * 1.772; // a square of the circle's area
  const [left, top] = [cx - side / 2, cy - side / 2];
  return draw("rect", { class: "mark first", x: left, y: top, width: side, height: side });
}

function pointText(point) {
  const size = point.size_mb ? `${compact(point.size_mb)} MB` : "size unknown";
  return `${point.label} (${point.kind})\n${point.measure} ${point.value.toFixed(4)}${point.mark}` +
    ` [${point.low.toFixed(3)}, ${point.high.toFixed(3)}]\np50 ${compact(point.latency)} ms, ${size}`;
}

function textWidth(text) {
  const context = textWidth.context ??= make("canvas").getContext("2d");
  context.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
  return context.measureText(text).width + 2;
}

function overlaps(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

const DISTANCES = [0, 14, 28, 44, 62, 84, 110, 140, 180, 230];
const SIDES = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]];

/** The nearest place around a point that touches no mark and no other label. */
function freePlace(text, spot, taken, { width, top, bottom }) {
  const [long, tall] = [textWidth(text), 15];
  for (const distance of DISTANCES) {
    for (const [right, down] of SIDES) {
      const away = spot.r + 5 + distance;
      const [x, y] = [spot.x + right * away, spot.y + down * (away + (right ? 0 : 5))];
      const left = right > 0 ? x : right < 0 ? x - long : x - long / 2;
      const box = { left, right: left + long, top: y - tall / 2, bottom: y + tall / 2, distance };
      const within = box.left >= 0 && box.right <= width && box.top >= top && box.bottom <= bottom;
      if (within && !taken.some((other) => overlaps(box, other))) return box;
    }
  }
  return null;
}

function leaderTo(box, { x, y, r }) {
  const [toX, toY] = [Math.min(Math.max(x, box.left), box.right), Math.min(Math.max(y, box.top + 2), box.bottom - 2)];
  const length = Math.hypot(toX - x, toY - y) || 1;
  const from = { x1: x + ((toX - x) / length) * r, y1: y + ((toY - y) / length) * r };
  return draw("line", { class: "leader", ...from, x2: toX, y2: toY, "aria-hidden": "true" });
}

/** Thin boxes around the lines of a stair, and around the intervals. */
function lineBoxes(points, spots, places, scale) {
  const box = (x1, x2, y1, y2) => ({ left: Math.min(x1, x2) - 2, right: Math.max(x1, x2) + 2,
    top: Math.min(y1, y2) - 2, bottom: Math.max(y1, y2) + 2 });
  const stairs = places.slice(1).flatMap(({ x, y }, number) => {
    const before = places[number];
    return [box(before.x, x, before.y, before.y), box(x, x, before.y, y)];
  });
  return [...stairs, ...points.map(({ low, high }, number) =>
    box(spots[number].x, spots[number].x, scale.y(low), scale.y(high)))];
}

/** A box for each text, which touches nothing; null where there is none. */
function placeTexts(texts, spots, lines, bounds) {
  const marks = spots.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }));
  const taken = [...marks, ...lines];
  return texts.map((text, number) => {
    const box = freePlace(text, spots[number], taken, bounds);
    if (box) taken.push(box);
    return box;
  });
}

/** Names at the points or, where there is no room for all, numbers that a list below explains. */
function pointLabels(points, spots, lines, bounds) {
  const names = points.map((point) => shortened(point.short, bounds.width < 600 ? 26 : 80));
  const places = placeTexts(names, spots, lines, bounds);
  const isNumbered = places.includes(null);
  const texts = isNumbered ? points.map((_, number) => String(number + 1)) : names;
  const between = isNumbered ? placeTexts(texts, spots, lines, bounds) : places;
  const boxes = between.includes(null) ? placeTexts(texts, spots, [], bounds) : between;
  const nodes = boxes.flatMap((box, number) => {
    if (!box) return [];
    const at = { x: box.left, y: box.top + 12, "aria-hidden": "true" };
    const label = draw("text", { class: "point-label", ...at }, texts[number]);
    return box.distance > 14 ? [leaderTo(box, spots[number]), label] : [label];
  });
  const list = points.map((point) => make("li", {}, breakable(point.short)));
  return { nodes, list: isNumbered ? make("ol", { class: "small" }, ...list) : null };
}

/** A stair through the points than which none is both faster and better. */
function frontLine(places) {
  if (places.length < 2) return null;
  const [first, ...rest] = places;
  return draw("path", { class: "front", d: `M${first.x} ${first.y}` + rest.map(({ x, y }) => `H${x}V${y}`).join("") });
}

function pointNode(point, { x, y, r }, scale, tell, hush) {
  const bar = { class: "interval", x1: x, x2: x, y1: scale.y(point.low), y2: scale.y(point.high) };
  const named = { tabindex: "0", role: "img", "aria-label": pointText(point).replaceAll("\n", ", ") };
  const node = draw("g", { class: "point", ...named }, draw("line", bar), pointShape(point, x, y, r));
  for (const event of ["pointerenter", "focus"]) node.addEventListener(event, tell);
  for (const event of ["pointerleave", "blur"]) node.addEventListener(event, hush);
  return node;
}

function drawQuality(host, points, width) {
  const height = Math.min(520, Math.max(360, width * 0.5));
  const edge = { left: 44, right: 24, top: 26, bottom: 42 };
  const scale = qualityScales(points, width, height, edge);
  const radius = radii(points);
  const spots = points.map((p) => ({ x: scale.x(p.latency), y: scale.y(p.value), r: radius(p) }));
  const tip = make("div", { class: "tip", hidden: "" });
  const hush = () => { tip.hidden = true; };
  const largestFirst = points.map((_, number) => number).sort((a, b) => spots[b].r - spots[a].r);
  const nodes = largestFirst.map((number) => {
    const { x, y, r } = spots[number];
    const tell = () => placeTip(tip, host, x, y - r, pointText(points[number]));
    return pointNode(points[number], spots[number], scale, tell, hush);
  });
  const axes = qualityAxes(scale, width, height, edge, points[0].measure);
  const drawing = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group",
    "aria-label": "Quality against latency" });
  const bounds = { width, top: 16, bottom: height - edge.bottom };
  const places = spots.filter((_, number) => points[number].front).sort((a, b) => a.x - b.x);
  const front = frontLine(places);
  const lines = lineBoxes(points, spots, places, scale);
  const labels = pointLabels(points, spots, lines, bounds);
  drawing.append(...axes, ...(front ? [front] : []), ...nodes, ...labels.nodes);
  host.replaceChildren(...[drawing, tip, labels.list].filter(Boolean));
}

function showQuality(host, points) {
  if (!points.length) {
    host.append(make("p", { class: "muted" }, "No row has a latency: nothing to draw."));
    return;
  }
  const plot = make("div", { class: "plot" });
  const sizes = points.map((point) => point.size_mb).filter(Boolean);
  const range = sizes.length
    ? ` The area of a mark is the size of the model, here ${compact(Math.min(...sizes))}` +
      ` to ${compact(Math.max(...sizes))} MB in fp32.`
    : "";
  const legend = "Filled circle: re-ranker; open circle: interpolated with the first stage;" +
    " square: first stage, one search; dashed: the Pareto front, than whose points none is both faster" +
    " and better." + range;
  host.append(plot, drawingDownloads(plot, "quality_latency"), make("p", { class: "muted small" }, legend));
  drawnToWidth(plot, (width) => drawQuality(plot, points, width));
}
