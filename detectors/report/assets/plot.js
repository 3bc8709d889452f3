// Panels of curves over one axis of epochs, by uPlot: zoom, cursor, boxes, drops. Their state is kept here and each
// change draws the panels anew, so that what is on the screen follows from the state alone.

const HUES = 6; // colours of page.css: those of Okabe and Ito, dark enough for thin lines
const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3], [14, 4], [4, 2]];
const AXIS = 58, EDGE = 12; // pixels left and right of the curves, the same in every panel

// The limits of an axis: the first epochs and single spikes of a whole run would flatten the rest.
function limits(values, whole, log) {
  let shown = values.filter((v) => typeof v === "number" && (!log || v > 0));
  if (!shown.length) return log ? [0.1, 1] : [0, 1];
  const low = shown.reduce((a, b) => Math.min(a, b));
  if (log) return [low / 1.15, shown.reduce((a, b) => Math.max(a, b)) * 1.15];
  let high = shown.reduce((a, b) => Math.max(a, b));
  if (whole) {
    shown = shown.slice(Math.floor(shown.length / 20)).sort((a, b) => a - b);
    high = shown[Math.min(shown.length - 1, Math.floor(0.99 * (shown.length - 1) + 0.5))];
  }
  const room = high - low || Math.abs(high) * 0.1 || 1;
  return [low - 0.06 * room, high + 0.12 * room];
}

// Means over `width` rows around each: centred, so that a low stays where it is.
function smoothed(values, width) {
  const half = (width - 1) / 2;
  return values.map((value, i) => {
    if (value === null) return null;
    const near = values.slice(Math.max(0, i - half), i + half + 1).filter((v) => v !== null);
    return near.reduce((a, b) => a + b, 0) / near.length;
  });
}

// panels: [{name, log, height, curves: [{key, values, colour, dash, width}]}]; boxes: [{from, to, interval, colour, dash, chosen}];
// drops: [{at, label, dash}]; star: {x, y, panel}. All are asked for anew at each drawing by `describe(view)`.
function plots(host, x, describe, events) {
  const gap = x.length > 1 ? (x[x.length - 1] - x[0]) / (x.length - 1) / 2 : 0.5;
  const whole = [x[0] - gap, x[x.length - 1] + gap];
  const view = { range: whole, at: null };
  let charts = [];
  const zoomed = () => view.range[0] > whole[0] || view.range[1] < whole[1];

  function draw() {
    for (const chart of charts) chart.destroy();
    const described = describe(view);
    const width = host.clientWidth;
    charts = described.panels.map((panel, i) => chartOf(panel, described, width, i === described.panels.length - 1, i === 0));
    if (view.at !== null) cursorTo(view.at);
    events.drawn(charts);
  }

  function chartOf(panel, described, width, last, first) {
    const ink = colourOf("--ink"), soft = colourOf("--soft"), line = colourOf("--line");
    const font = "12px system-ui, sans-serif";
    const rows = () => [x.findIndex((v) => v >= view.range[0]), x.findLastIndex((v) => v <= view.range[1])];
    const range = () => {
      const [from, to] = rows();
      const shown = from < 0 || to < from ? [] : panel.curves.flatMap((c) => c.values.slice(from, to + 1));
      return limits(shown, !zoomed() && panel.robust !== false, panel.log);
    };
    const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, border: { show: false } };
    const u = new uPlot(
      {
        width, height: panel.height + (last ? 46 : 8) + (first ? 18 : 0),
        padding: [first ? 24 : 6, EDGE, 0, 0],
        legend: { show: false },
        scales: { x: { time: false, range: () => view.range }, y: { distr: panel.log ? 3 : 1, range } },
        axes: [
          { ...axis, size: last ? 30 : 8, ...(last ? { label: "epoch", labelSize: 16, labelGap: 0, labelFont: font } : {}), grid: { show: false }, values: (_, splits) => splits.map((v) => (last ? epoch(v) : "")), incrs: x.every(Number.isInteger) ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9] : undefined },
          { ...axis, size: AXIS, values: (_, splits) => splits.map((v) => (v === null ? "" : String(Number(v.toPrecision(6))))) },
        ],
        series: [{}, ...panel.curves.map((c) => ({
          label: c.label, stroke: c.colour, width: c.width, dash: c.dash, alpha: c.alpha ?? 1, spanGaps: c.spanGaps ?? false,
          points: { show: c.values.filter((v) => v !== null).length < 3 || undefined, size: 5 },
        }))],
        cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 }, bind: { dblclick: () => () => { api.zoom(...whole); return null; } }, focus: panel.focus ? { prox: 24 } : undefined },
        focus: panel.focus ? { alpha: 0.25 } : undefined,
        hooks: {
          drawClear: [(c) => { for (const box of described.boxes) drawBox(c, box); for (const drop of described.drops) drawDrop(c, drop, soft); if (first) nameDrops(c, described.drops, soft); }],
          draw: [(c) => { if (described.star && described.star.panel === panel.name) drawStar(c, described.star, ink); }],
          setSelect: [(c) => { if (c.select.width > 4) api.zoom(c.posToVal(c.select.left, "x"), c.posToVal(c.select.left + c.select.width, "x")); c.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false); }],
          setCursor: [(c) => { if (!quiet) moved(c); }],
          setSeries: panel.focus ? [(c, i) => events.focused && events.focused(i ? panel.curves[i - 1].key : null)] : [],
        },
      },
      [x, ...panel.curves.map((c) => (panel.log ? c.values.map((v) => (v > 0 ? v : null)) : c.values))],
      (c, init) => { panel.host.replaceChildren(c.root); init(); },
    );
    u.over.addEventListener("click", (event) => events.clicked && events.clicked(u.posToVal(event.offsetX, "x"), gap, u.posToVal(6, "x") - u.posToVal(0, "x")));
    return u;
  }

  let quiet = false;
  function moved(from) {
    const idx = from.cursor.left < 0 ? null : from.cursor.idx;
    if (idx !== null && idx !== undefined) cursorTo(idx, from);
  }
  function leave() {
    if (view.held) return;
    view.at = null;
    quiet = true;
    for (const chart of charts) chart.setCursor({ left: -10, top: -10 });
    quiet = false;
    events.moved(null);
  }
  function cursorTo(idx, from) {
    view.at = idx;
    quiet = true;
    const left = ((x[idx] - view.range[0]) / (view.range[1] - view.range[0])) * (host.clientWidth - AXIS - EDGE); // uPlot knows it only later
    for (const chart of charts) if (chart !== from) chart.setCursor({ left, top: 1 });
    quiet = false;
    events.moved(idx);
  }

  const api = {
    view, draw, zoomed,
    zoom(from, to) {
      const least = Math.min(4 * gap, whole[1] - whole[0]);
      let [a, b] = [Math.max(whole[0], from), Math.min(whole[1], to)];
      if (b - a < least) { const middle = Math.min(Math.max((a + b) / 2, whole[0] + least / 2), whole[1] - least / 2); [a, b] = [middle - least / 2, middle + least / 2]; }
      view.range = [a, b];
      draw();
      events.zoomed(view.range, zoomed());
    },
    by(factor, around = (view.range[0] + view.range[1]) / 2) { api.zoom(around - (around - view.range[0]) * factor, around + (view.range[1] - around) * factor); },
    reset() { api.zoom(...whole); },
    step(rows) {
      const [from, to] = [x.findIndex((v) => v >= view.range[0]), x.findLastIndex((v) => v <= view.range[1])];
      if (from < 0 || to < from) return;
      view.held = true;
      const next = view.at === null ? (rows === -Infinity || (rows > 0 && rows < Infinity) ? from : to) : view.at + rows;
      cursorTo(Math.min(to, Math.max(from, next)));
    },
    at(value) { view.held = false; cursorTo(x.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(x[best] - value) ? i : best), 0)); },
    chart: () => charts[0],
  };
  gestures(host, api, events);
  host.addEventListener("mousemove", () => { view.held = false; });
  host.addEventListener("mouseleave", leave);
  let width = 0;
  new ResizeObserver(() => { if (host.clientWidth && host.clientWidth !== width) { width = host.clientWidth; draw(); } }).observe(host);
  return api;
}

// Keys, wheel and fingers; the mouse is uPlot's. Without the focus or Ctrl the wheel scrolls the page, as everywhere.
function gestures(host, api, events) {
  host.addEventListener("keydown", (event) => {
    if (event.target !== host || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key in steps) api.step(steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "+" || event.key === "=") api.by(0.5, events.centre());
    else if (event.key === "-") api.by(2, events.centre());
    else if (event.key === "0" || event.key === "Escape") api.reset();
    else return;
    event.preventDefault();
    events.announced();
  });
  const value = (clientX) => { const c = api.chart(); return c.posToVal(clientX - c.over.getBoundingClientRect().left, "x"); };
  host.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== host) return;
    event.preventDefault();
    api.by(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.005), value(event.clientX));
  }, { passive: false });
  const fingers = new Map();
  const spread = () => { const [a, b] = [...fingers.values()]; return [Math.max(30, Math.abs(a - b)), (a + b) / 2]; };
  host.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event.clientX);
    if (fingers.size === 1) api.at(value(event.clientX));
  });
  host.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.size === 2 ? spread() : null;
    fingers.set(event.pointerId, event.clientX);
    if (before) { const after = spread(); api.by(before[0] / after[0], value(after[1])); }
    else if (fingers.size === 1) api.at(value(event.clientX));
  });
  for (const over of ["pointerup", "pointercancel"]) host.addEventListener(over, (event) => fingers.delete(event.pointerId));
}

function drawBox(u, box) {
  const { ctx, bbox } = u, ratio = uPlot.pxRatio;
  const left = Math.max(bbox.left, u.valToPos(box.from, "x", true)), right = Math.min(bbox.left + bbox.width, u.valToPos(box.to, "x", true));
  if (right < bbox.left || left > bbox.left + bbox.width) return;
  ctx.save();
  ctx.globalAlpha = box.chosen ? 0.3 : 0.14;
  ctx.fillStyle = box.colour;
  ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * ratio), bbox.height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = box.colour;
  ctx.lineWidth = (box.chosen ? 2 : 1) * ratio;
  ctx.setLineDash(box.dash.map((d) => d * ratio));
  ctx.beginPath();
  ctx.moveTo(left, bbox.top);
  ctx.lineTo(left, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
  const [from, to] = box.interval.map((v) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(v, "x", true))));
  const y = bbox.top + bbox.height - 5 * ratio, cap = 3 * ratio;
  ctx.beginPath();
  ctx.moveTo(from, y); ctx.lineTo(to, y);
  ctx.moveTo(from, y - cap); ctx.lineTo(from, y + cap);
  ctx.moveTo(to, y - cap); ctx.lineTo(to, y + cap);
  for (const [colour, width] of [[colourOf("--ink"), 3.5], [box.colour, 1.5]]) { // outlined, for some colours are pale
    ctx.strokeStyle = colour;
    ctx.lineWidth = width * ratio;
    ctx.stroke();
  }
  ctx.restore();
}

const inside = (u, at) => at >= u.bbox.left - 1 && at <= u.bbox.left + u.bbox.width + 1;

function drawDrop(u, drop, colour) {
  const { ctx, bbox } = u, ratio = uPlot.pxRatio, at = Math.round(u.valToPos(drop.at, "x", true));
  if (!inside(u, at)) return;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = (drop.chosen ? 2.5 : 1) * ratio;
  ctx.setLineDash(drop.dash.map((d) => d * ratio));
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

// What a drop did to the rate, above its line, where there is room for it.
function nameDrops(u, drops, colour) {
  const { ctx, bbox } = u, ratio = uPlot.pxRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.fillStyle = colour;
  ctx.textAlign = "center";
  let taken = -Infinity;
  for (const drop of drops) {
    const at = u.valToPos(drop.at, "x", true), half = ctx.measureText(drop.label).width / 2;
    const middle = Math.min(bbox.left + bbox.width - half, Math.max(bbox.left + half, at));
    if (!inside(u, at) || middle - half < taken) continue;
    taken = middle + half + 6 * ratio;
    ctx.fillText(drop.label, middle, bbox.top - 7 * ratio);
  }
  ctx.restore();
}

function drawStar(u, star, colour) {
  const { ctx } = u, ratio = uPlot.pxRatio, x = u.valToPos(star.x, "x", true), y = u.valToPos(star.y, "y", true);
  if (!inside(u, x)) return;
  ctx.save();
  ctx.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = (i % 2 ? 3.2 : 8) * ratio, angle = (Math.PI * i) / 5 - Math.PI / 2;
    ctx.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  ctx.closePath();
  ctx.lineWidth = 2.5 * ratio;
  ctx.strokeStyle = colourOf("--paper");
  ctx.stroke();
  ctx.fillStyle = colour;
  ctx.fill();
  ctx.restore();
}
