// Which view is shown follows the address: nothing for the comparison, #3 for the third run. A view is made when it is
// first asked for.

const main = document.getElementById("page");
const many = DATA.runs.length > 1 || DATA.unreadable.length > 0;
const made = {};
let current = null;

function show() {
  const wanted = Math.min(DATA.runs.length, Math.max(0, parseInt(location.hash.slice(1), 10) || 0));
  const place = many ? wanted : 1;
  made[place] ??= place ? runView(DATA.runs[place - 1]) : compareView((i) => { location.hash = `#${i + 1}`; });
  current = made[place];
  const steps = many && place ? el("nav", { "aria-label": "Runs" }, el("a", { href: "#" }, "All runs"),
    place > 1 ? el("a", { href: `#${place - 1}`, rel: "prev" }, `← ${DATA.runs[place - 2].run}`) : null,
    place < DATA.runs.length ? el("a", { href: `#${place + 1}`, rel: "next" }, `${DATA.runs[place].run} →`) : null) : null;
  main.replaceChildren(...[steps, current.view].filter(Boolean));
}

addEventListener("hashchange", () => { show(); scrollTo(0, 0); current.view.querySelector("h1").focus({ preventScroll: true }); });
for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", () => current.redraw());
show();
requestAnimationFrame(() => { document.documentElement.dataset.ready = performance.now().toFixed(0); performance.mark("ready"); });
