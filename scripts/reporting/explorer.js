// The explorer: the picked members' fans from the picked origin, what came before and after, and their scores.
"use strict";
const KINDS = { Int16Array, Float32Array, Float64Array };
const MISSING = -32768;
const pick = (id) => document.getElementById(id);
const priced = () => pick("unit").value === "price";
const product = (numbers) => numbers.reduce((a, b) => a * b, 1);
const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–");
const hover = () => `%{y:${priced() ? ",.7g" : "+.3f"}}`;

function mean(values) {
  const known = values.filter(Number.isFinite);
  return known.reduce((a, b) => a + b, 0) / known.length;
}

// The packed arrays of explorer.py: plain ones, and rows of scaled integers as log returns.
class Arrays {
  constructor(buffer) {
    this.buffer = buffer;
  }

  plain({ kind, at, shape }) {
    return new KINDS[kind](this.buffer, at, product(shape));
  }

  row({ values, unit }, place) {
    const width = product(values.shape.slice(1)), scale = this.plain(unit)[place];
    const row = this.plain(values).subarray(place * width, (place + 1) * width);
    return Array.from(row, (whole) => (whole === MISSING ? null : whole * scale));
  }
}

// One origin of a symbol: its row in a fold, and how returns from its close are shown.
class Origin {
  constructor(found, arrays, fold, row) {
    Object.assign(this, { found, arrays, fold, row });
    this.moment = arrays.plain(fold.origin)[row] + found.bar_ms;
    this.close = arrays.plain(fold.close)[row];
  }

  time(step) {
    return new Date(this.moment + step * this.found.bar_ms).toISOString().slice(0, 19);
  }

  shown(change) {
    if (change === null) return null;
    return priced() ? this.close * Math.exp(change) : 100 * Math.expm1(change);
  }

  text(value) {
    const digits = Math.max(0, 5 - Math.floor(Math.log10(this.close)));
    const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return priced() ? value.toLocaleString("en", fixed) : `${value.toFixed(3)} %`;
  }

  // by level, from the origin's close on
  fan(name) {
    const { levels, steps } = this.found, values = this.arrays.row(this.fold.members[name].fan, this.row);
    return levels.map((_, level) => [0, ...steps.map((_, step) => values[step * levels.length + level])]);
  }
}

// A member's fan: filled where it is alone, the edges of its 90 % interval where there are several.
function memberTraces(origin, name, alone) {
  const { label, color: hue, dash } = origin.found.members[name], lines = origin.fan(name);
  // black stands for the colour of text, which closes have here
  const tint = hue === "#000000" ? "#7F7F7F" : hue, edge = alone ? { width: 0 } : { width: 1.6, color: tint, dash };
  const times = [0, ...origin.found.steps].map((step) => origin.time(step));
  const curve = (level, more) => ({
    x: times, y: lines[level].map((change) => origin.shown(change)), mode: "lines", legendgroup: name, showlegend: false,
    name: `${label} ${100 * origin.found.levels[level]} %`, line: { width: 0, color: tint }, hovertemplate: hover(), ...more,
  });
  return [
    curve(0, { line: edge }),
    curve(4, alone ? { fill: "tonexty", fillcolor: `${tint}38` } : { line: edge }),
    ...(alone ? [curve(1), curve(3, { fill: "tonexty", fillcolor: `${tint}55` })] : []),
    curve(2, { name: `${label}, median`, showlegend: true, line: { width: alone ? 2.2 : 1.2, color: tint, dash } }),
  ];
}

function closesTraces(origin) {
  const { steps } = origin.found, values = origin.arrays.row(origin.fold.closes, origin.row);
  const before = [...steps.map((step) => -step).reverse(), 0], after = [0, ...steps];
  const curve = (at, changes, name, width) => ({
    x: at.map((step) => origin.time(step)), y: changes.map((change) => origin.shown(change)), name, mode: "lines",
    line: { color: "#000000", width }, hovertemplate: hover(),
  });
  return [
    curve(before, [...values.slice(0, steps.length), 0], "close before", 1.2),
    curve(after, [0, ...values.slice(steps.length)], "realised close", 2.6),
  ];
}

function originLayout(origin) {
  const at = origin.time(0), dashed = { color: "#7F7F7F", dash: "dash", width: 1 };
  return {
    height: 460, margin: { l: 8, r: 8, t: 40, b: 8 }, hovermode: "x unified",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    xaxis: { title: { text: "time (UTC)" } },
    yaxis: { title: { text: priced() ? "price" : "change from the origin, %" } },
    legend: { orientation: "h", yanchor: "bottom", y: 1, x: 0 },
    shapes: [{ type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: dashed }],
  };
}

// A member's row of the table; rows: those of the symbol in the fold. Losses are relative to the random walk's.
function scoreRow(origin, name, rows) {
  const { fold, arrays, row } = origin, walk = fold.members.random_walk;
  const loss = arrays.plain(fold.members[name].loss), base = walk && arrays.plain(walk.loss);
  const relative = (of) => (base ? mean(of.map((one) => loss[one])) / mean(of.map((one) => base[one])) : NaN);
  const last = origin.fan(name).map((line) => origin.text(origin.shown(line.at(-1))));
  const inside = percent(arrays.plain(fold.members[name].inside)[row]), { label } = origin.found.members[name];
  return [label, last[2], `${last[1]} … ${last[3]}`, `${last[0]} … ${last[4]}`, percent(relative([row])), percent(relative(rows)), inside];
}

function tableLine(cells) {
  const line = document.createElement("tr");
  line.append(...cells.map((text, place) => Object.assign(document.createElement(place ? "td" : "th"), { textContent: text })));
  line.firstChild.scope = "row";
  return line;
}

// Rows of the picked symbol in the picked fold.
function pickedRows(found) {
  const { symbol } = found.folds[pick("fold").value];
  return [...symbol.keys()].filter((row) => symbol[row] === pick("symbol").value);
}

function show(found, arrays) {
  const fold = found.folds[pick("fold").value], rows = pickedRows(found), slider = pick("origin");
  slider.max = Math.max(0, rows.length - 1);
  const origin = rows.length && new Origin(found, arrays, fold, rows[slider.value]);
  const at = origin ? `${origin.time(0).replace("T", " ").slice(0, 16)} UTC, ${Number(slider.value) + 1} of ${rows.length}` : "no forecast";
  pick("moment").textContent = at;
  slider.setAttribute("aria-valuetext", at);
  if (!origin) return undefined;
  document.querySelectorAll("[name=member]").forEach((box) => (box.disabled = !fold.members[box.value]));
  const lines = Object.keys(fold.members).map((name) => tableLine(scoreRow(origin, name, rows)));
  document.querySelector("#scores tbody").replaceChildren(...lines);
  const picked = [...document.querySelectorAll("[name=member]:checked:enabled")].map((box) => box.value);
  const fans = picked.flatMap((name) => memberTraces(origin, name, picked.length === 1));
  return draw("chart-explorer", { data: [...fans, ...closesTraces(origin)], layout: originLayout(origin) });
}

async function explore(found) {
  if (!found) return;
  const arrays = new Arrays(await unpack(found.data)), again = () => show(found, arrays);
  const move = (by) => {
    pick("origin").value = Number(pick("origin").value) + by;
    again();
  };
  pick("before").addEventListener("click", () => move(-1));
  pick("after").addEventListener("click", () => move(1));
  pick("pick").addEventListener("input", again);
  pick("pick").addEventListener("submit", (event) => event.preventDefault());
  // the last origin that was tested; the live one stands above
  pick("fold").value = Math.max(0, found.folds.findLastIndex((fold) => fold.name !== "live"));
  pick("origin").max = pick("origin").value = Math.max(0, pickedRows(found).length - 1);
  await again();
}
