// Files that the page makes of what it shows; nothing is asked of a server.

const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity",
  "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "visibility"];
const PIXELS = 3;

function saveBlob(name, blob) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

function saveText(name, text, type = "text/plain") {
  saveBlob(name, new Blob([text], { type: `${type};charset=utf-8` }));
}

function downloadBar(files) {
  const buttons = files.map(([title, save]) => {
    const button = make("button", { type: "button" }, title);
    button.addEventListener("click", save);
    return button;
  });
  return make("div", { class: "downloads", role: "group", "aria-label": "Downloads" }, ...buttons);
}

/** The drawing with its colours and letters in itself, as a file of its own. */
function standaloneDrawing(drawing) {
  const copy = drawing.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll("*")];
  [drawing, ...drawing.querySelectorAll("*")].forEach((node, number) => {
    const style = getComputedStyle(node);
    for (const name of DRAWN) copies[number].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "style"]) copies[number].removeAttribute(name);
  });
  const { width, height } = drawing.viewBox.baseVal;
  filled(copy, { xmlns: SVG, width, height }, []);
  const ground = getComputedStyle(document.body).backgroundColor;
  copy.prepend(draw("rect", { x: 0, y: 0, width, height, fill: ground }));
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

function savePicture(name, drawing) {
  const { text, width, height } = standaloneDrawing(drawing);
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = make("canvas", { width: width * PIXELS, height: height * PIXELS });
    canvas.getContext("2d").drawImage(picture, 0, 0, width * PIXELS, height * PIXELS);
    canvas.toBlob((blob) => saveBlob(name, blob), "image/png");
  });
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

function drawingDownloads(plot, name) {
  const drawing = () => plot.querySelector("svg");
  return downloadBar([
    [`${name}.svg`, () => saveText(`${name}.svg`, standaloneDrawing(drawing()).text, "image/svg+xml")],
    [`${name}.png`, () => savePicture(`${name}.png`, drawing())],
  ]);
}
