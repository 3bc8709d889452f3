// Elements made of text nodes and attributes alone: nothing that a log says is ever parsed as HTML.

const DATA = JSON.parse(document.getElementById("data").textContent);

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A number as the text report writes it: four digits, whole numbers whole.
// with a capital, unless it begins with the name of a series
function sentence(text) {
  return text.split(" ")[0].includes("_") ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
}

function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value === "inf" ? "∞" : value === "-inf" ? "−∞" : value;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(4)));
}

const epoch = (value) => String(Number(value.toPrecision(10)));
const words = (name) => name.replaceAll("_", " ");
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const drawable = (value) => (typeof value === "number" ? value : null);

// What a screen reader says next.
function say(text) {
  document.getElementById("said").textContent = text;
}

// A piece of a line as a legend shows it.
function sample(colour, dash, width) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [k, v] of Object.entries({ width: 26, height: 10, "aria-hidden": "true", class: "sample" })) svg.setAttribute(k, v);
  for (const [k, v] of Object.entries({ x1: 0, x2: 26, y1: 5, y2: 5, "stroke-dasharray": dash.join(" ") })) line.setAttribute(k, v);
  line.style.stroke = colour;
  line.style.strokeWidth = width;
  svg.append(line);
  return svg;
}
