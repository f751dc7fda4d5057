"use strict";
// Texts enter the page as text nodes and attributes only, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function labelled(title, control, classes = "field") {
  return make("label", { class: classes }, make("span", {}, title), control);
}

function select(entries, onChange) {
  const options = entries.map(([value, title]) => make("option", { value }, title));
  const control = make("select", {}, ...options);
  control.addEventListener("change", () => onChange(control.value));
  return control;
}

/** A long name that may break after its signs, not within numbers, and is copied without the breaks. */
function breakable(text) {
  const parts = text.split(/(?<=[_=,/]|\.(?!\d))/).flatMap((part) => [part, make("wbr")]);
  return make("span", {}, ...parts.slice(0, -1));
}

/** A sentence whose intervals and p values are not broken over lines. */
function unbroken(sentence) {
  return sentence.replace(/\[[^[\]]*\]|\(p [^()]*\)/g, (part) => part.replaceAll(" ", "\u00a0"));
}

function shortened(text, length) {
  return text.length <= length ? text : text.slice(0, length - 1) + "…";
}

function counted(number, noun, plural = noun + "s") {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

function signed(value, digits = 4) {
  return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);
}

function compact(value) {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** Draw again whenever the width of the host changes. */
function drawnToWidth(host, drawAt) {
  let last = 0;
  const redraw = (force) => {
    const width = Math.floor(host.clientWidth);
    if (width > 0 && (force || width !== last)) {
      last = width;
      drawAt(width);
    }
  };
  new ResizeObserver(() => redraw(false)).observe(host);
  redraw(true);
  return () => redraw(true);
}

function linear(from, to, low, high) {
  const span = to - from || 1;
  return (value) => low + ((value - from) / span) * (high - low);
}

/** Round numbers between two values, about as many as asked for. */
function ticks(low, high, about) {
  const raw = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= raw);
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let number = first; number * step <= high + step * 1e-9; number += 1) {
    found.push(Number((number * step).toPrecision(12)));
  }
  return found;
}

function tickLabels(values) {
  const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1;
  const digits = Math.min(8, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return values.map((value) => value.toLocaleString("en",
    { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}

function placeTip(tip, host, x, y, text) {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(Math.max(0, x + 12), Math.max(0, host.clientWidth - tip.offsetWidth));
  const above = y - tip.offsetHeight - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above >= 0 ? above : y + 14}px`;
}
