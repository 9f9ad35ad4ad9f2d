// Draws the page's figures in the colours of its theme. The library's script is kept gzipped in the page.
"use strict";
const root = document.documentElement;
const parse = (id) => JSON.parse(document.getElementById(id).textContent);
const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// black stands for the colour of text
function inked(value, ink) {
  if (Array.isArray(value)) return value.map((one) => inked(one, ink));
  if (value && typeof value === "object" && !ArrayBuffer.isView(value))
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inked(one, ink)]));
  return value === "#000000" ? ink : value;
}

function themed(figure) {
  const ink = color("--ink"), line = color("--line");
  const layout = inked(figure.layout, ink);
  layout.font = { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 };
  layout.hoverlabel = { bgcolor: color("--panel"), bordercolor: line, font: { color: ink } };
  layout.modebar = { color: color("--soft"), activecolor: ink, bgcolor: "rgba(0,0,0,0)" };
  for (const axis of ["xaxis", "yaxis"])
    layout[axis] = { ...layout[axis], gridcolor: line, linecolor: line, showgrid: true, automargin: true };
  return { data: inked(figure.data, ink), layout };
}

const figures = {};
const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

function draw(id, figure) {
  figures[id] = figure;
  const { data, layout } = themed(figure);
  return Plotly.react(id, data, layout, settings);
}

const redraw = () => Promise.all(Object.entries(figures).map(([id, figure]) => draw(id, figure)));

const THEMES = ["system", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = "system";

function applyTheme(forced) {
  const shown = forced || (theme === "system" ? (dark.matches ? "dark" : "light") : theme);
  root.dataset.theme = shown;
  document.getElementById("theme").textContent = `Theme: ${theme === "system" ? "as the system" : theme}`;
  return window.Plotly ? redraw() : undefined;
}

applyTheme();
dark.addEventListener("change", () => applyTheme());
document.getElementById("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  applyTheme();
});
addEventListener("beforeprint", () => {
  Object.keys(waiting).forEach(drawOnce);
  applyTheme("light");
  document.querySelectorAll("details").forEach((one) => (one.open = true));
});
addEventListener("afterprint", () => applyTheme());

// figures that were not near the screen yet
let waiting = {};

function drawOnce(name) {
  const figure = waiting[name];
  delete waiting[name];
  return figure && draw(`chart-${name}`, figure);
}

async function start() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpack(document.getElementById("library").textContent));
  document.head.append(script);
  waiting = parse("charts");
  const seen = new IntersectionObserver(
    (found) => found.filter((one) => one.isIntersecting).forEach((one) => drawOnce(one.target.dataset.chart)),
    { rootMargin: "600px" },
  );
  document.querySelectorAll("[data-chart]").forEach((one) => seen.observe(one));
  await explore(parse("explored"));
  root.dataset.ready = "true";
}

addEventListener("DOMContentLoaded", start);
