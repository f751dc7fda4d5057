// Every measure of runs that nobody timed, with its interval.

const LINE = 26;

function intervalRow({ short, value, low, high, mark }, x, y, left) {
  const said = `${short}: ${value.toFixed(4)}${mark} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
  return draw("g", { class: "point", role: "img", "aria-label": said },
    draw("title", {}, said),
    draw("line", { class: "interval strong", x1: x(low), x2: x(high), y1: y, y2: y }),
    draw("circle", { class: "mark", cx: x(value), cy: y, r: 5 }),
    draw("text", { x: left - 10, y: y + 4, "text-anchor": "end" },
      `${shortened(short, Math.floor(left / 7.5))} ${mark}`.trimEnd()));
}

function drawIntervals(host, { measure, rows }, width) {
  const [left, right, top] = [Math.min(220, width * 0.4), width - 12, 8];
  const bottom = top + rows.length * LINE;
  const [low, high] = [Math.min(...rows.map((row) => row.low)), Math.max(...rows.map((row) => row.high))];
  const pad = (high - low) * 0.05 || 0.05;
  const x = linear(low - pad, high + pad, left, right);
  const values = ticks(low - pad, high + pad, width < 500 ? 3 : 5);
  const said = tickLabels(values);
  const axis = values.flatMap((value, number) => [
    draw("line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom }),
    draw("text", { class: "tick", x: x(value), y: bottom + 16, "text-anchor": "middle" }, said[number]),
  ]);
  const height = bottom + 24;
  const drawing = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group",
    "aria-label": `${measure} of every run` });
  drawing.append(...axis, ...rows.map((row, number) => intervalRow(row, x, top + (number + 0.5) * LINE, left)));
  host.replaceChildren(drawing);
}

function showIntervals(host, measures) {
  byId("quality-title").textContent = "Measures";
  document.querySelector('nav a[href="#quality"]').textContent = "Measures";
  const figures = measures.map((one) => {
    const plot = make("div", { class: "plot" });
    drawnToWidth(plot, (width) => drawIntervals(plot, one, width));
    const file = one.measure.replace(/[^A-Za-z0-9]+/g, "_");
    return make("div", {}, make("h3", {}, `${one.measure}, 95 % interval`), plot, drawingDownloads(plot, file));
  });
  host.append(make("div", { class: "pair" }, ...figures));
}
