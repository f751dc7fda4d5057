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

/** The first of four places at a point that touches nothing; null where there is none. */
function freePlace(text, spot, taken, width) {
  const [long, tall] = [textWidth(text), 15];
  const middle = spot.y - tall / 2;
  const places = [
    { left: spot.x + spot.r + 5, top: middle },
    { left: spot.x - spot.r - 5 - long, top: middle },
    { left: spot.x - long / 2, top: spot.y - spot.r - tall - 3 },
    { left: spot.x - long / 2, top: spot.y + spot.r + 3 },
    { left: spot.x + 5, top: spot.y - spot.r - tall },
    { left: spot.x + 5, top: spot.y + spot.r },
    { left: spot.x - 5 - long, top: spot.y - spot.r - tall },
    { left: spot.x - 5 - long, top: spot.y + spot.r },
  ];
  const boxes = places.map((at) => ({ ...at, right: at.left + long, bottom: at.top + tall }));
  return boxes.find((box) =>
    box.left >= 0 && box.right <= width && box.top >= 16 && !taken.some((other) => overlaps(box, other)),
  ) ?? null;
}

function pointLabels(points, spots, width) {
  const taken = spots.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }));
  const labels = [];
  points.forEach((point, number) => {
    const text = shortened(point.short, width < 600 ? 21 : 41);
    const box = freePlace(text, spots[number], taken, width);
    if (!box) return;
    taken.push(box);
    labels.push(draw("text", { x: box.left, y: box.top + 12, "aria-hidden": "true" }, text));
  });
  return labels;
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
  const height = Math.min(460, Math.max(320, width * 0.5));
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
  drawing.append(...axes, ...nodes, ...pointLabels(points, spots, width));
  host.replaceChildren(drawing, tip);
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
    " square: first stage, one search." + range;
  host.append(plot, make("p", { class: "muted small" }, legend));
  drawnToWidth(plot, (width) => drawQuality(plot, points, width));
}
