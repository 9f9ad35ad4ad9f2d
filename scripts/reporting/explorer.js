// The explorer: the picked members' fans from the picked origin, what came before and after, and their scores.
"use strict";
const KINDS = { Int16Array, Float32Array, Float64Array };
const MISSING = -32768;

async function explore(found) {
  if (!found) return;
  const buffer = await unpack(found.data);
  const array = ({ kind, at, shape }) => new KINDS[kind](buffer, at, shape.reduce((a, b) => a * b, 1));
  // one row of scaled integers as log returns
  const scaled = (packed, row) => {
    const width = packed.values.shape.slice(1).reduce((a, b) => a * b, 1), unit = array(packed.unit)[row];
    return Array.from(array(packed.values).subarray(row * width, (row + 1) * width), (n) => (n === MISSING ? null : n * unit));
  };
  const pick = (id) => document.getElementById(id);
  const members = () => [...document.querySelectorAll("[name=member]:checked")].map((box) => box.value);
  const count = found.steps.length, levels = found.levels.length;
  const rows = () => {
    const fold = found.folds[pick("fold").value];
    return fold.symbol.map((name, row) => row).filter((row) => fold.symbol[row] === pick("symbol").value);
  };

  function state() {
    const fold = found.folds[pick("fold").value], of = rows(), row = of[Math.min(pick("origin").value, of.length - 1)];
    const moment = array(fold.origin)[row] + found.bar_ms, close = array(fold.close)[row];
    const shown = pick("unit").value === "price" ? (r) => (r === null ? null : close * Math.exp(r)) : (r) => (r === null ? null : 100 * Math.expm1(r));
    return { fold, of, row, moment, close, shown, time: (step) => new Date(moment + step * found.bar_ms).toISOString().slice(0, 19) };
  }

  const fan = (s, name) => {
    const values = scaled(s.fold.members[name].fan, s.row);
    return found.levels.map((_, level) => [0, ...found.steps.map((_, step) => values[step * levels + level])]);
  };

  function memberTraces(s, name, alone) {
    const { label, color: hue } = found.members[name], lines = fan(s, name), tint = name === "oracle" ? "#7F7F7F" : hue;
    const times = [0, ...found.steps].map(s.time), hover = pick("unit").value === "price" ? ",.7g" : "+.3f";
    const curve = (level, more) => ({
      x: times, y: lines[level].map(s.shown), mode: "lines", legendgroup: name, showlegend: false,
      name: `${label} ${100 * found.levels[level]} %`, line: { width: 0, color: tint },
      hovertemplate: `%{y:${hover}}`, ...more,
    });
    const faded = tint + (alone ? "38" : "22"), dashed = { width: 1, color: tint, dash: "dot" };
    return [
      curve(0, alone ? {} : { line: dashed }),
      curve(4, { fill: "tonexty", fillcolor: faded, ...(alone ? {} : { line: dashed }) }),
      ...(alone ? [curve(1), curve(3, { fill: "tonexty", fillcolor: tint + "55" })] : []),
      curve(2, { name: `${label}, median`, showlegend: true, line: { width: 2.2, color: hue } }),
    ];
  }

  function closesTraces(s) {
    const values = scaled(s.fold.closes, s.row), hover = pick("unit").value === "price" ? ",.7g" : "+.3f";
    const before = [...found.steps].reverse().map((step) => -step), trace = { mode: "lines", hovertemplate: `%{y:${hover}}` };
    return [
      { ...trace, x: [...before, 0].map(s.time), y: [...values.slice(0, count), 0].map(s.shown), name: "close before", line: { color: "#000000", width: 1.2 } },
      { ...trace, x: [0, ...found.steps].map(s.time), y: [0, ...values.slice(count)].map(s.shown), name: "realised close", line: { color: "#000000", width: 2.6 } },
    ];
  }

  function layout(s) {
    const axis = { title: { text: pick("unit").value === "price" ? "price" : "change from the origin, %" } };
    return {
      height: 460, margin: { l: 8, r: 8, t: 40, b: 8 }, hovermode: "x unified", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { title: { text: "time (UTC)" } }, yaxis: axis, legend: { orientation: "h", yanchor: "bottom", y: 1, x: 0 }, uirevision: "same",
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: s.time(0), x1: s.time(0), y0: 0, y1: 1, line: { color: "#7F7F7F", dash: "dash", width: 1 } }],
    };
  }

  const mean = (values) => { const known = values.filter(Number.isFinite); return known.reduce((a, b) => a + b, 0) / known.length; };
  const share = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "–");

  function scoreRow(s, name) {
    const one = s.fold.members[name], walk = s.fold.members.random_walk, loss = array(one.loss), base = walk && array(walk.loss);
    const digits = Math.max(0, 6 - Math.floor(Math.log10(s.close)) - 1), fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const number = (value) => (pick("unit").value === "price" ? value.toLocaleString("en", fixed) : `${value.toFixed(3)} %`);
    const last = fan(s, name).map((line) => number(s.shown(line[count])));
    const here = base ? loss[s.row] / base[s.row] : NaN;
    const all = base ? mean(s.of.map((row) => loss[row])) / mean(s.of.map((row) => base[row])) : NaN;
    return [found.members[name].label, last[2], `${last[1]} … ${last[3]}`, `${last[0]} … ${last[4]}`, share(here), share(all), share(array(one.inside)[s.row])];
  }

  function fill(s) {
    const cells = Object.keys(s.fold.members).map((name) => scoreRow(s, name));
    document.querySelector("#scores tbody").replaceChildren(...cells.map((row) => {
      const line = document.createElement("tr");
      line.append(...row.map((text, place) => Object.assign(document.createElement(place ? "td" : "th"), { textContent: text })));
      line.firstChild.scope = "row";
      return line;
    }));
  }

  function show() {
    const last = rows().length - 1;
    pick("origin").max = last;
    const s = state(), picked = members().filter((name) => s.fold.members[name]);
    const text = s.row === undefined ? "no forecast of this symbol here" : `${s.time(0).replace("T", " ").slice(0, 16)} UTC, ${Number(pick("origin").value) + 1} of ${last + 1}`;
    pick("moment").textContent = text;
    pick("origin").setAttribute("aria-valuetext", text);
    if (s.row === undefined) return undefined;
    document.querySelectorAll("[name=member]").forEach((box) => (box.disabled = !s.fold.members[box.value]));
    fill(s);
    const data = [...picked.flatMap((name) => memberTraces(s, name, picked.length === 1)), ...closesTraces(s)];
    return draw("chart-explorer", { data, layout: layout(s) });
  }

  const move = (by) => { pick("origin").value = Number(pick("origin").value) + by; show(); };
  pick("before").addEventListener("click", () => move(-1));
  pick("after").addEventListener("click", () => move(1));
  pick("pick").addEventListener("input", show);
  pick("pick").addEventListener("submit", (event) => event.preventDefault());
  // the last origin that was tested; the live one stands above
  pick("fold").value = Math.max(0, found.folds.findLastIndex((fold) => fold.name !== "live"));
  pick("origin").max = pick("origin").value = Math.max(0, rows().length - 1);
  await show();
}
