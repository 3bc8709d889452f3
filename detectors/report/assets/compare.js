// Several runs: a chosen series of all of them in one plot, and a table of what each of them says.

const FEW = 8; // so many lines have a colour and a dash of their own; more are grey, and the one pointed at stands out
const STEPS = 1000; // points of an axis that runs with different epochs share

function compareView(open) {
  const runs = DATA.runs.map((run, i) => ({ ...run, i, found: run.verdicts.filter((v) => v.status === "found").map((v) => DATA.titles[v.phenomenon]) }));
  const keys = [...new Set(runs.flatMap((r) => r.curves.map((c) => c.key)))];
  const labels = Object.fromEntries(runs.flatMap((r) => r.curves.map((c) => [c.key, c.label])));
  const state = { key: keys.includes("val_loss") ? "val_loss" : keys[0], text: "", pointed: null, log: false, sort: null, down: false };
  const x = shared(runs.map((r) => r.x));
  const lines = {};
  const line = (run) => {
    const name = `${run.i} ${state.key}`, curve = run.curves.find((c) => c.key === state.key);
    if (!(name in lines)) lines[name] = curve ? onto(x, run.x, curve.values.map(drawable)) : x.map(() => null);
    return lines[name];
  };
  const visible = () => runs.filter((r) => `${r.run} ${r.source}`.toLowerCase().includes(state.text));

  const host = el("div", { class: "plots", tabindex: 0, role: "application", "aria-roledescription": "curves", "aria-label": "The chosen series of all runs. Arrow keys move the cursor, plus and minus zoom, 0 shows all." });
  const body = el("div", { class: "canvas" }), hovered = el("span", { class: "at" });
  host.append(el("section", { class: "panel", "data-panel": "overlay" }, body));
  const reset = el("button", { type: "button", disabled: true, click: () => shown.reset() }, "Show all");
  const look = (place, few) => (few ? [`var(--hue-${place % HUES})`, DASHES[place % DASHES.length], 2] : ["var(--train)", [], 1]);

  function describe() {
    const now = visible(), few = now.length <= FEW;
    const curves = now.map((run, place) => {
      const [colour, dash, width] = look(place, few), pointed = state.pointed === run.i;
      return { key: run.i, label: run.run, values: line(run), colour: colourOf(pointed && !few ? "--ink" : colour.slice(4, -1)), dash, width: pointed ? 3 : width, alpha: pointed || few ? 1 : 0.45, spanGaps: true };
    });
    curves.sort((a, b) => (a.key === state.pointed) - (b.key === state.pointed)); // the one pointed at on top
    return { panels: [{ name: "overlay", host: body, log: state.log, height: innerWidth < 600 ? 240 : 340, focus: true, curves }], boxes: [], drops: [], star: null };
  }
  const at = (idx) => visible().map((run) => [run, line(run)[idx]]);
  const spanned = () => `epochs ${number(Math.max(x[0], shown.view.range[0]))} to ${number(Math.min(x[x.length - 1], shown.view.range[1]))}`;
  const shown = plots(host, x, describe, {
    moved(idx) { read(idx); },
    announced() {
      const idx = shown.view.at;
      say(idx === null ? spanned() : `epoch ${epoch(x[idx])}: ` + at(idx).slice(0, 10).map(([r, v]) => `${r.run} ${number(v)}`).join(", "));
    },
    zoomed(view, zoomed) { reset.disabled = !zoomed; read(view.at); },
    drawn() { read(shown.view.at); },
    centre: () => (shown.view.at === null ? undefined : x[shown.view.at]),
    focused(i) { near = i; read(shown.view.at); for (const row of rows.children) row.classList.toggle("pointed", Number(row.dataset.run) === i && i !== null); },
    clicked() { if (near !== null) open(near); },
  });
  let near = null;
  function read(idx) {
    const run = near === null ? null : runs[near];
    hovered.textContent = idx === null ? spanned() : `epoch ${epoch(x[idx])}` + (run ? ` · ${run.run}: ${number(line(run)[idx])}` : "");
    for (const row of rows.children) row.querySelector(".now").textContent = idx === null ? "" : number(line(runs[Number(row.dataset.run)])[idx]);
  }

  const rows = el("tbody");
  const columns = { run: ["run", (r) => r.run], keep: ["keep epoch", (r) => r.reading.keep_epoch], lowest: ["val loss there", (r) => r.reading.keep_loss] };
  const count = el("p", { class: "soft", role: "status" });
  function list() {
    const now = visible(), few = now.length <= FEW;
    const sorted = state.sort ? [...now].sort((a, b) => order(columns[state.sort][1](a), columns[state.sort][1](b)) * (state.down ? -1 : 1)) : now;
    rows.replaceChildren(...sorted.map((run) => {
      const [colour, dash, width] = look(now.indexOf(run), few);
      const point = (i) => () => { if (state.pointed !== i) { state.pointed = i; shown.draw(); } };
      return el("tr", { "data-run": run.i, mouseenter: point(run.i), mouseleave: point(null) },
        el("th", { scope: "row" }, el("span", { class: "named" }, sample(colour, dash, width), el("a", { href: `#${run.i + 1}`, focus: point(run.i), blur: point(null) }, run.run)), el("span", { class: "headline" }, run.headline)),
        el("td", { "data-label": "keep epoch" }, run.reading.keep_epoch === null ? "–" : epoch(run.reading.keep_epoch)), el("td", { "data-label": "val loss there" }, number(run.reading.keep_loss)),
        el("td", { class: "now", "data-label": "at the cursor" }), el("td", { class: "tags", "data-label": "found" }, run.found.length ? run.found.join(", ") : "nothing"));
    }));
    count.textContent = now.length === runs.length ? "" : `${now.length} of ${runs.length} runs`;
  }
  const order = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  const heading = (key) => el("th", { scope: "col", "aria-sort": "none", "data-sort": key }, el("button", { type: "button", click: () => {
    [state.sort, state.down] = [key, state.sort === key && !state.down];
    for (const th of view.querySelectorAll("th[aria-sort]")) th.setAttribute("aria-sort", th.dataset.sort === key ? (state.down ? "descending" : "ascending") : "none");
    list();
  } }, columns[key][0]));

  const view = el("article", { class: "compare" },
    el("header", {}, el("h1", { tabindex: -1 }, `${runs.length} runs`), el("p", { class: "lead" }, summary(runs))),
    el("section", { class: "figure", "aria-label": "All runs in one plot" },
      el("div", { class: "bar-top" },
        el("label", {}, "Series ", el("select", { id: "series", change: (event) => { state.key = event.target.value; shown.draw(); } }, keys.map((k) => el("option", { value: k, selected: k === state.key }, labels[k])))),
        el("label", {}, "Filter ", el("input", { type: "search", id: "filter", placeholder: "part of a name", input: (event) => { state.text = event.target.value.toLowerCase(); list(); shown.draw(); } })),
        el("button", { type: "button", class: "toggle", "data-log": "overlay", "aria-pressed": "false", click: (event) => { state.log = !state.log; event.currentTarget.setAttribute("aria-pressed", String(state.log)); shown.draw(); } }, "log"),
        reset),
      el("div", { class: "bar-top readout" }, hovered), host,
      el("p", { class: "hint soft" }, "Drag to zoom, double click to show all; point at a line or a row to make it stand out, click it to open the run.")),
    ...DATA.groups.map((g) => el("section", { class: "group", "aria-label": `${g.group}, together` },
      el("h2", {}, `${g.group}: ${g.runs.length} runs together`), el("p", {}, g.reading.text),
      g.notes.length ? el("ul", { class: "notes" }, g.notes.map((note) => el("li", {}, note))) : null)),
    count,
    el("div", { class: "scroll" }, el("table", { class: "runs" }, el("thead", {}, el("tr", {}, heading("run"), heading("keep"), heading("lowest"), el("th", { scope: "col" }, "at the cursor"), el("th", { scope: "col" }, "found"))), rows)),
    DATA.unreadable.length ? el("section", {}, el("h2", {}, "Logs that could not be read"), el("ul", { class: "notes" }, DATA.unreadable.map((u) => el("li", {}, u.error)))) : null);
  list();
  return { view, redraw: () => { list(); shown.draw(); } };
}

// How many runs show what, and which is best, in a sentence or two.
function summary(runs) {
  const counts = {};
  for (const run of runs) for (const name of run.found) counts[name] = (counts[name] ?? 0) + 1;
  const said = Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} in ${n}`);
  const best = runs.filter((r) => r.reading.keep_loss !== null).sort((a, b) => a.reading.keep_loss - b.reading.keep_loss)[0];
  return [best ? `The lowest validation loss is ${number(best.reading.keep_loss)}, in ${best.run}.` : "", said.length ? `Found: ${said.join(", ")}.` : "Nothing was found in any of them."].filter(Boolean).join(" ");
}

// One axis for all runs: their epochs where these are few enough, else equal steps.
function shared(axes) {
  const all = [...new Set(axes.flat())].sort((a, b) => a - b);
  if (all.length <= 2 * STEPS) return all;
  const [first, last] = [all[0], all[all.length - 1]];
  return Array.from({ length: STEPS }, (_, i) => first + ((last - first) * i) / (STEPS - 1));
}

// The values of one run on the shared axis: each at the nearest point, the mean of those that meet there.
function onto(x, own, values) {
  const sums = new Float64Array(x.length), counts = new Uint32Array(x.length);
  let at = 0;
  own.forEach((e, i) => {
    while (at + 1 < x.length && Math.abs(x[at + 1] - e) <= Math.abs(x[at] - e)) at++;
    if (values[i] !== null) { sums[at] += values[i]; counts[at]++; }
  });
  return Array.from(sums, (sum, i) => (counts[i] ? sum / counts[i] : null));
}
