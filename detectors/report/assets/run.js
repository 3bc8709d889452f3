// One run: the reading in words, what to do first, the curves with what was found in them, every verdict.

const STATUS = { found: "found", absent: "not there", undetermined: "cannot tell" };

function findingsOf(run) {
  const order = Object.keys(DATA.colours);
  const rank = (v) => (order.indexOf(v.phenomenon) < 0 ? order.length : order.indexOf(v.phenomenon));
  return [...run.verdicts].sort((a, b) => rank(a) - rank(b)).flatMap((v) => v.findings.map((f, i) => ({
    ...f, phenomenon: v.phenomenon, title: DATA.titles[v.phenomenon], id: `${v.phenomenon}-${i}`,
    colour: v.phenomenon === "lr_drop" ? "var(--soft)" : DATA.colours[v.phenomenon] ?? DATA.colours[""],
    mark: DATA.marks.includes(v.phenomenon) ? `mark-${v.phenomenon}` : "",
    dash: DASHES[Math.max(0, order.indexOf(v.phenomenon)) % DASHES.length],
    to: f.end ?? (v.phenomenon === "lr_drop" ? f.onset : run.last),
  })));
}

function styles(run) {
  const own = { train_loss: ["--train", [5, 3], 1.5], val_loss: ["--ink", [], 2], train_accuracy: ["--train", [5, 3], 1.5], val_accuracy: ["--ink", [], 2], learning_rate: ["--train", [], 1.5] };
  return Object.fromEntries(run.curves.map((c, i) => [c.key, own[c.key] ?? ["--series", DASHES[i % DASHES.length], 1.5]]));
}

function runView(run) {
  const found = findingsOf(run), style = styles(run);
  const raw = Object.fromEntries(run.curves.map((c) => [c.key, c.values.map(drawable)]));
  const names = [...new Set(run.curves.map((c) => c.panel))];
  const usual = names.filter((n) => n === "loss" || n === "accuracy");
  const state = { on: new Set(run.curves.filter((c) => (usual.length ? usual : names.slice(0, 1)).includes(c.panel)).map((c) => c.key)), log: new Set(), smooth: 1, chosen: null };

  const host = el("div", { class: "plots", tabindex: 0, role: "application", "aria-roledescription": "curves", "aria-label": `Curves of ${run.run}. Arrow keys move the cursor, plus and minus zoom, 0 shows all.` });
  const hovered = el("span", { class: "at" });
  const reset = el("button", { type: "button", disabled: true, click: () => shown.reset() }, "Show all");
  const chips = Object.fromEntries(run.curves.map((c) => [c.key, chip(c)]));
  const bodies = Object.fromEntries(names.map((name) => [name, el("div", { class: "canvas" })]));
  const panels = Object.fromEntries(names.map((name) => [name, el("section", { class: "panel", "data-panel": name }, bodies[name])]));
  const heads = names.map((name) => el("div", { class: "head" }, el("h3", {}, name),
    run.curves.filter((c) => c.panel === name).map((c) => chips[c.key]), name === "accuracy" ? null : log(name)));
  names.forEach((name, i) => panels[name].prepend(heads[i]));
  const track = el("div", { class: "timeline", role: "group", "aria-label": "Findings over the epochs" });

  function chip(curve) {
    const [colour, dash, width] = style[curve.key];
    return el("button", { type: "button", class: "chip", "data-series": curve.key, "aria-pressed": String(state.on.has(curve.key)), click: () => toggle(curve.key) },
      sample(`var(${colour})`, dash, width), el("span", { class: "name" }, curve.label), el("span", { class: "value" }));
  }
  function log(name) {
    return el("button", { type: "button", class: "toggle", "data-log": name, "aria-pressed": "false", "aria-label": `logarithmic axis for ${name}`, click: (event) => {
      state.log.has(name) ? state.log.delete(name) : state.log.add(name);
      event.currentTarget.setAttribute("aria-pressed", String(state.log.has(name)));
      shown.draw();
    } }, "log");
  }
  function toggle(key) {
    state.on.has(key) ? state.on.delete(key) : state.on.add(key);
    chips[key].setAttribute("aria-pressed", String(state.on.has(key)));
    shown.draw();
  }

  function describe(view) {
    const on = names.filter((name) => run.curves.some((c) => c.panel === name && state.on.has(c.key)));
    for (const name of names) { panels[name].hidden = !on.includes(name) && !usual.includes(name); if (!on.includes(name)) bodies[name].replaceChildren(); }
    const tall = innerWidth < 600 ? 0.75 : 1;
    const keep = run.reading.keep_epoch, at = keep === null ? -1 : nearest(keep);
    return {
      panels: on.map((name) => ({
        name, host: bodies[name], log: state.log.has(name), height: tall * (name === "loss" ? 250 : name === "accuracy" ? 150 : 100),
        curves: run.curves.filter((c) => c.panel === name && state.on.has(c.key)).flatMap((c) => {
          const [colour, dash, width] = style[c.key], values = raw[c.key];
          const line = { key: c.key, label: c.label, values, colour: colourOf(colour), dash, width, spanGaps: sparse(values) };
          return state.smooth > 1 ? [{ ...line, alpha: 0.25, dash: [], width: 1 }, { ...line, values: smoothed(values, state.smooth) }] : [line];
        }),
      })),
      boxes: found.filter((f) => f.shaded || (f.id === state.chosen && f.phenomenon !== "lr_drop")).map((f) => ({ from: f.onset, to: f.to, interval: f.onset_interval, colour: f.colour, dash: f.dash, chosen: f.id === state.chosen })),
      drops: found.filter((f) => f.phenomenon === "lr_drop").map((f) => ({ at: f.onset, label: "factor" in f.effect ? `lr ×${Number(f.effect.factor.toPrecision(3))}` : "drop?", dash: f.kind === "logged" ? [] : [4, 3], chosen: f.id === state.chosen })),
      star: at >= 0 && state.on.has("val_loss") && raw.val_loss && raw.val_loss[at] !== null ? { x: run.x[at], y: raw.val_loss[at], panel: "loss" } : null,
    };
  }
  const nearest = (value) => run.x.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(run.x[best] - value) && (!raw.val_loss || raw.val_loss[i] !== null) ? i : best), 0);
  const sparse = (values) => values.filter((v) => v !== null).length < 0.7 * values.length; // logged on rows of its own

  const spanned = () => { const inside = run.x.filter((v) => v >= shown.view.range[0] && v <= shown.view.range[1]); return inside.length ? `epochs ${epoch(inside[0])} to ${epoch(inside[inside.length - 1])}` : "between two epochs"; };
  const shown = plots(host, run.x, describe, {
    moved(idx) {
      hovered.textContent = idx === null ? spanned() : `epoch ${epoch(run.x[idx])}`;
      for (const c of run.curves) chips[c.key].querySelector(".value").textContent = idx === null ? "" : number(c.values[idx]);
    },
    announced() {
      const idx = shown.view.at;
      say(idx === null ? spanned() : `${shown.zoomed() ? `${spanned()}; ` : ""}epoch ${epoch(run.x[idx])}: ` + run.curves.filter((c) => state.on.has(c.key)).map((c) => `${c.label} ${number(c.values[idx])}`).join(", "));
    },
    zoomed(view, zoomed) { reset.disabled = !zoomed; if (shown.view.at === null) hovered.textContent = spanned(); },
    drawn(charts) { timeline(); if (shown.view.at === null) hovered.textContent = spanned(); },
    centre: () => (shown.view.at === null ? undefined : run.x[shown.view.at]),
    clicked(value, gap, near) {
      const drop = found.find((f) => f.phenomenon === "lr_drop" && Math.abs(f.onset - value) < near);
      const under = found.filter((f) => f.shaded && value >= f.onset - gap && value <= Math.max(f.to, f.onset + gap)).sort((a, b) => a.to - a.onset - (b.to - b.onset));
      if (drop ?? under[0]) choose((drop ?? under[0]).id);
    },
  });

  // A row for each phenomenon under the curves, a button for each finding: the boxes, for keyboards and fingers.
  function timeline() {
    const left = AXIS, width = host.clientWidth - AXIS - EDGE, [from, to] = shown.view.range;
    const at = (value) => (100 * (Math.min(to, Math.max(from, value)) - from)) / (to - from);
    const focused = document.activeElement && track.contains(document.activeElement) ? document.activeElement.dataset.finding : null;
    track.replaceChildren(...[...new Set(found.map((f) => f.phenomenon))].map((phenomenon) => {
      const bars = found.filter((f) => f.phenomenon === phenomenon);
      return el("div", { class: "row" }, el("span", { class: "label" }, bars[0].title),
        el("div", { class: "track", style: { "margin-left": `${left}px`, width: `${width}px` } }, bars.filter((f) => f.to >= from && f.onset <= to).map((f) =>
          el("button", { type: "button", class: `bar ${phenomenon === "lr_drop" ? "line" : f.mark}`, "data-finding": f.id, "aria-label": `${f.title}: ${f.where}. Show the evidence.`, "aria-expanded": String(state.chosen === f.id), "aria-controls": `evidence-${f.id}`, title: `${f.title}: ${f.where}`, click: () => choose(f.id),
            style: { left: `${at(f.onset)}%`, width: `${at(f.to) - at(f.onset)}%`, "--hue": f.colour } },
            el("span", { class: "interval", style: { left: `${spot(f, f.onset_interval[0], at)}%`, width: `${spot(f, f.onset_interval[1], at) - spot(f, f.onset_interval[0], at)}%` } })))));
    }));
    if (focused) track.querySelector(`[data-finding="${CSS.escape(focused)}"]`)?.focus();
  }
  const spot = (f, value, at) => (at(f.to) === at(f.onset) ? 0 : (100 * (at(value) - at(f.onset))) / (at(f.to) - at(f.onset)));

  const cards = Object.fromEntries(found.map((f) => [f.id, evidence(f)]));
  function evidence(f) {
    const rows = (named) => Object.entries(named).map(([k, v]) => el("tr", {}, el("th", { scope: "row" }, words(k)), el("td", {}, number(v))));
    const card = el("details", { class: "finding", id: `evidence-${f.id}`, "data-finding": f.id },
      el("summary", {}, el("span", { class: `swatch ${f.mark}`, style: { "--hue": f.colour } }), el("span", {}, el("strong", {}, f.title), " ", el("span", { class: "soft" }, f.where))),
      el("div", { class: "body" }, el("p", {}, sentence(f.explanation)), f.advice ? el("p", {}, el("strong", {}, "What to do. "), f.advice) : null,
        el("table", {}, el("caption", {}, "The numbers behind it"), el("tbody", {}, rows(f.effect), rows(f.evidence),
          rows({ "could be known at epoch": f.known_at, ...(f.p_value === null ? {} : { "p-value": f.p_value }) })))));
    card.addEventListener("toggle", () => { if (card.open && state.chosen !== f.id) choose(f.id); else if (!card.open && state.chosen === f.id) choose(null); });
    return card;
  }
  function choose(id) {
    const opened = id !== null && !(state.chosen === id && cards[id].open);
    state.chosen = opened ? id : null;
    for (const [key, card] of Object.entries(cards)) card.open = key === state.chosen;
    if (opened) { cards[id].scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }); say(`${cards[id].querySelector("summary").textContent} ${cards[id].querySelector("p").textContent}`); }
    shown.draw();
  }

  const other = run.verdicts.filter((v) => v.status !== "found");
  const further = names.filter((name) => !usual.includes(name));
  const smooth = el("input", { type: "range", id: "smooth", min: 0, max: 12, value: 0, "aria-valuetext": "off", input: (event) => {
    state.smooth = 2 * Number(event.target.value) + 1;
    const text = state.smooth === 1 ? "off" : `mean over ${state.smooth} rows`;
    event.target.setAttribute("aria-valuetext", text);
    smoothing.textContent = text;
    shown.draw();
  } });
  const smoothing = el("output", { for: "smooth", class: "soft" }, "off");

  const notes = [...run.notes, run.block > 1 ? `Drawn as means over blocks of ${run.block} rows.` : null, run.left_out ? `${run.left_out} further series are not in this page.` : null].filter(Boolean);
  const view = el("article", { class: "run" },
    el("header", {}, el("h1", { tabindex: -1 }, run.run), el("p", { class: "soft" }, `${run.epochs} rows, epochs ${epoch(run.first)} to ${epoch(run.last)}`, run.source && run.source !== run.run ? el("span", {}, " · ", run.source) : null)),
    el("div", { class: "reading" },
      el("p", { class: "lead" }, el("strong", {}, run.headline), run.rest ? " " : "", run.rest ? el("span", { class: "rest" }, run.rest) : null),
      run.reading.advice.length ? el("section", { class: "advice" }, el("h2", {}, "What to do first"), el("ol", {}, run.reading.advice.map((a) => el("li", {}, a)))) : null),
    el("div", { class: "split" },
      el("section", { class: "figure", "aria-label": "Curves" },
        el("div", { class: "bar-top" }, hovered, reset, el("label", { class: "smooth" }, "Smooth ", smooth, smoothing)),
        host,
        track,
        el("p", { class: "hint soft" }, "Drag to zoom, double click to show all; click a box for its evidence. ★ is the epoch to keep, the bar with caps the interval for an onset.", el("span", { class: "keys" }, " Keys: ← → move the cursor, + − zoom, 0 shows all.")),
        further.length ? el("details", { class: "more", id: "further" }, el("summary", {}, `Further series (${run.curves.length - run.curves.filter((c) => usual.includes(c.panel)).length})`), el("div", { class: "chips" })) : null,
        table(run)),
      el("section", { class: "verdicts", "aria-label": "What was found" },
        el("h2", {}, found.length ? "What was found" : "Nothing was found"), Object.values(cards),
        other.length ? el("h2", {}, "What was not") : null,
        other.length ? el("dl", {}, other.flatMap((v) => [el("dt", {}, el("strong", {}, DATA.titles[v.phenomenon]), " ", el("span", { class: `status ${v.status}` }, STATUS[v.status])),
          el("dd", {}, [v.reason, v.min_detectable_effect === null ? "" : `smallest effect that would have been seen: ${number(v.min_detectable_effect)}`].filter(Boolean).join("; "))])) : null,
        notes.length ? el("h2", {}, "Notes of the reader") : null, notes.length ? el("ul", { class: "notes" }, notes.map((n) => el("li", {}, n))) : null)));
  host.append(...names.map((name) => panels[name]));
  const chipsHost = view.querySelector("#further .chips");
  if (chipsHost) chipsHost.append(...run.curves.filter((c) => !usual.includes(c.panel)).map((c) => { const twin = el("button", { type: "button", class: "chip", "data-further": c.key, "aria-pressed": String(state.on.has(c.key)), click: () => { toggle(c.key); twin.setAttribute("aria-pressed", String(state.on.has(c.key))); } }, c.label); return twin; }));
  return { view, redraw: () => shown.draw() };
}

// The values behind the canvas, for those who cannot see it; written when it is opened.
function table(run) {
  const body = el("tbody");
  const details = el("details", { class: "more", id: "values" }, el("summary", {}, "The values as a table"), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The values of all series" },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "epoch"), run.curves.map((c) => el("th", { scope: "col" }, c.label)))), body)));
  details.addEventListener("toggle", () => {
    if (details.open && !body.firstChild) body.append(...run.x.map((e, i) => el("tr", {}, el("th", { scope: "row" }, epoch(e)), run.curves.map((c) => el("td", {}, c.values[i] === null ? "–" : typeof c.values[i] === "number" ? String(c.values[i]) : number(c.values[i]))))));
  });
  return details;
}
