// Losses and dev measures of one training at a time.

function curvePath(points, x, y) {
  const known = points.filter(([, value]) => value !== null);
  return known.map(([step, value], at) => `${at ? "L" : "M"}${x(step)} ${y(value)}`).join("");
}

function nearestPoint(points, step) {
  return points.reduce((best, point, at) =>
    (Math.abs(point[0] - step) < Math.abs(points[best][0] - step) ? at : best), 0);
}

function curveAxes(x, y, steps, values, width, height, edge) {
  const right = width - edge.right;
  const said = tickLabels(values);
  const up = values.flatMap((value, number) => [
    draw("line", { class: "grid", x1: edge.left, x2: right, y1: y(value), y2: y(value) }),
    draw("text", { class: "tick", x: edge.left - 8, y: y(value) + 4, "text-anchor": "end" }, said[number]),
  ]);
  const across = steps.map((step) =>
    draw("text", { class: "tick", x: x(step), y: height - edge.bottom + 18, "text-anchor": "middle" },
      step.toLocaleString("en")));
  return [...up, ...across];
}

function bestGuide(best, x, edge, height) {
  const bottom = height - edge.bottom;
  const late = x(best) > (x(0) + edge.left) / 2 + 120;
  return [
    draw("line", { class: "guide", x1: x(best), x2: x(best), y1: edge.top, y2: bottom }),
    draw("text", { class: "tick", x: x(best) + (late ? -5 : 5), y: bottom - 6,
      "text-anchor": late ? "end" : "start" }, `kept: step ${best.toLocaleString("en")}`),
  ];
}

/** The names of a few other lines at their ends, kept apart; many would hide each other. */
function lineNames(others, x, y, right) {
  if (others.length > 4) return [];
  const ends = others.flatMap(({ label, points }) => {
    const last = points.findLast(([, value]) => value !== null);
    return last ? [{ label, x: Math.min(x(last[0]), right) - 4, y: y(last[1]) - 6 }] : [];
  }).sort((a, b) => a.y - b.y);
  ends.forEach((end, number) => {
    if (number) end.y = Math.max(end.y, ends[number - 1].y + 14);
  });
  return ends.map((end) =>
    draw("text", { class: "tick", x: end.x, y: end.y, "text-anchor": "end" }, shortened(end.label, 44)));
}

/** Arrow keys and the pointer move a cursor; the readout says where it is. */
function followPoints(drawing, points, x, y, name, readout) {
  const cursor = draw("circle", { class: "cursor", r: 5, visibility: "hidden" });
  drawing.append(cursor);
  let at = points.length - 1;
  const tell = (next) => {
    at = Math.min(points.length - 1, Math.max(0, next));
    const [step, value] = points[at];
    filled(cursor, { cx: x(step), cy: y(value), visibility: "visible" }, []);
    readout.textContent = `${name} ${value.toFixed(4)} at step ${step.toLocaleString("en")}`;
  };
  drawing.addEventListener("pointermove", (event) => {
    const left = drawing.getBoundingClientRect().left;
    const distances = points.map(([step]) => [x(step), 0]);
    tell(nearestPoint(distances, event.clientX - left));
  });
  drawing.addEventListener("focus", () => tell(at));
  drawing.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length }[event.key];
    if (!move) return;
    event.preventDefault();
    tell(at + move);
  });
}

function drawCurve(host, { name, points, others, best, dots }, readout, width) {
  const [height, edge] = [230, { left: 48, right: 14, top: 10, bottom: 26 }];
  const all = [...others.map((other) => other.points), points].flat().filter(([, value]) => value !== null);
  const values = all.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = (high - low) * 0.08 || Math.abs(high) * 0.1 || 0.1;
  const last = Math.max(...all.map(([step]) => step));
  const x = linear(0, last, edge.left, width - edge.right);
  const y = linear(low - pad, high + pad, height - edge.bottom, edge.top);
  const steps = ticks(0, last, 4).filter(Number.isInteger);
  const drawing = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: "0", role: "img",
    "aria-label": `${name} over steps; arrow keys read values` });
  drawing.append(...curveAxes(x, y, steps, ticks(low - pad, high + pad, 4), width, height, edge));
  drawing.append(...others.map((other) => draw("path", { class: "curve other", d: curvePath(other.points, x, y) })));
  if (best) drawing.append(...bestGuide(best, x, edge, height));
  const known = points.filter(([, value]) => value !== null);
  drawing.append(draw("path", { class: "curve", d: curvePath(known, x, y) }));
  if (dots) {
    drawing.append(...known.map(([step, value]) =>
      draw("circle", { class: "dot", r: 3.5, cx: x(step), cy: y(value) })));
  }
  drawing.append(...lineNames(others, x, y, width - edge.right));
  followPoints(drawing, known, x, y, name, readout);
  host.replaceChildren(drawing);
}

function curveFigure(chart) {
  const readout = make("p", { class: "readout muted small", role: "status" });
  const plot = make("div", { class: "plot" });
  const file = chart.name.replace(/[^A-Za-z0-9]+/g, "_");
  const figure = make("div", {}, make("h3", {}, `${chart.name} by step`), plot, readout, drawingDownloads(plot, file));
  const last = chart.points.findLast(([, value]) => value !== null);
  if (!last) return make("div", {}, make("h3", {}, chart.name), make("p", { class: "muted" }, "No finite value."));
  readout.textContent = `last: ${last[1].toFixed(4)} at step ${last[0].toLocaleString("en")}`;
  drawnToWidth(plot, (width) => drawCurve(plot, chart, readout, width));
  return figure;
}

function chartsOf(curves, chosen) {
  const curve = curves[chosen];
  const others = (name) => curves.filter((other) => other !== curve && other.dev[name])
    .map((other) => ({ label: `${other.label}, seed ${other.seed}`, points: other.dev[name] }));
  const best = curve.best_step;
  const charts = Object.entries(curve.dev).map(([name, points]) =>
    ({ name, points, others: others(name), best, dots: points.length < 40 }));
  if (curve.loss.length) charts.unshift({ name: "loss", points: curve.loss, others: [], best, dots: false });
  return charts;
}

function showCurves(host, curves) {
  if (!curves.length) {
    host.append(make("p", { class: "muted" },
      "No experiment here trained a network itself: none was to be trained, or an equal training was taken from the store."));
    return;
  }
  const figures = make("div", { class: "pair" });
  const show = (chosen) => figures.replaceChildren(...chartsOf(curves, Number(chosen)).map(curveFigure));
  const entries = curves.map(({ label, seed }, number) => [number, `${label}, seed ${seed}`]);
  const said = "The network of the dashed line is the one that was kept. Long losses are means of neighbouring steps." +
    (curves.length > 1 ? " Grey: the dev measures of the other trainings." : "");
  host.append(make("div", { class: "controls" }, labelled("Training of", select(entries, show))), figures,
    make("p", { class: "muted small" }, said));
  show(0);
}
