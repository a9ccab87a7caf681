// What is looked at, as it stands in the address behind the #: a link shows the same to others.

export const RANGES = [
  [900, "15 min"], [3600, "1 h"], [4 * 3600, "4 h"], [12 * 3600, "12 h"], [24 * 3600, "24 h"], [48 * 3600, "48 h"],
];
// More at once would be more than a page can show and a browser should ask for.
const PLOTS_MAX = 12;

const TEXTS = ["cluster", "host", "find", "state", "expected"];

export const view = { cluster: "", host: "", find: "", state: "", expected: "", range: 3600, plots: [] };

// A plot is a metric, a scope, and whether each of many series is drawn.
export const plotKey = (metric, scope) => `${metric} @ ${scope}`;

export function readView() {
  const values = new URLSearchParams(location.hash.slice(1));
  for (const name of TEXTS) view[name] = values.get(name) ?? "";
  const range = Number(values.get("range"));
  view.range = RANGES.some(([seconds]) => seconds === range) ? range : 3600;
  view.plots = [];
  for (const text of values.getAll("plot")) {
    const [, metric, scope, each] = /^(.+)@([^@]*?)(\+?)$/.exec(text) ?? [];
    if (metric) addPlot(metric, scope, each === "+");
  }
}

export function addPlot(metric, scope, each = false) {
  const key = plotKey(metric, scope);
  if (view.plots.some((plot) => plot.key === key)) return;
  view.plots.push({ key, metric, scope, each });
  if (view.plots.length > PLOTS_MAX) view.plots.shift();
}

export function removePlot(key) {
  view.plots = view.plots.filter((plot) => plot.key !== key);
}

// `step`: the way back leads here.
export function writeView(step = false) {
  const values = new URLSearchParams();
  for (const name of TEXTS) if (view[name]) values.set(name, view[name]);
  values.set("range", view.range);
  for (const { metric, scope, each } of view.plots) values.append("plot", `${metric}@${scope}${each ? "+" : ""}`);
  const hash = `#${values}`;
  if (hash === location.hash) return;
  history[step ? "pushState" : "replaceState"](null, "", hash);
}
