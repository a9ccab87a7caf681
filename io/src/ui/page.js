// The page: what is shown follows the view (view.js), which is in the address; what is shown is asked for again as often as
// the metrics are measured. Rounds replace contents, never controls, so focus and selection stay.

import * as calls from "./calls.js";
import { byId, element, keyed, say } from "./element.js";
import { Figure } from "./figure.js";
import { HostGrid, healthText, matcher } from "./hosts.js";
import { SERIES_MAX, resolutionOf, scopesOf, seriesOf } from "./series.js";
import { RANGES, addPlot, plotKey, readView, removePlot, view, writeView } from "./view.js";
import { timeText } from "./axis.js";

// Hosts whose metrics are what is expected of all, unless the user says something else.
const SAMPLED_HOSTS = 3;
// Between two rounds; slower metrics are not asked for more often than they are measured.
const ROUND_SECONDS_MAX = 60;
const HOSTS_SECONDS_MIN = 5;

const known = { clusters: [], metrics: new Map(), hosts: [], complete: true, health: {}, expected: [], scopes: new Map(), listed: "" };
const figures = new Map();
let paused = false;
// Raised when the cluster or host changes: answers of before are no longer wanted.
let turn = 0;

const grid = new HostGrid((host) => chooseHost(host));

// ---- What is asked for ----

async function fetchClusters() {
  const { clusters, metrics } = await calls.clusters();
  known.clusters = clusters;
  known.metrics = new Map(metrics.map((metric) => [metric.name, metric]));
  if (!view.cluster && clusters.length === 1) view.cluster = clusters[0].name;
  showClusters();
}

async function fetchHosts() {
  const asked = turn;
  if (!view.cluster) return;
  const { hosts, complete } = await calls.hosts(view.cluster);
  if (asked !== turn) return;
  Object.assign(known, { hosts, complete });
  if (!known.expected.length) {
    const expected = await usualMetrics(hosts);
    if (asked !== turn) return;
    known.expected = expected;
    byId("expected").placeholder = expected.join(", ");
  }
  showHosts();
  const wanted = hosts.filter(matcher(view.find));
  const names = expectedMetrics();
  const health = wanted.length && names.length ? await calls.health(view.cluster, wanted, names) : {};
  if (asked !== turn) return;
  known.health = health;
  showHosts();
}

// The metrics of a few hosts: what a site measures is not all that is configured.
async function usualMetrics(hosts) {
  const sampled = new Set([0, hosts.length >> 1, hosts.length - 1].slice(0, SAMPLED_HOSTS).map((index) => hosts[index]));
  const names = new Set();
  for (const host of sampled) {
    if (host === undefined) continue;
    for (const { metric } of (await calls.series(view.cluster, host)).series) names.add(metric);
  }
  return [...names].sort();
}

const expectedMetrics = () => {
  const names = view.expected.split(/[\s,]+/).filter(Boolean);
  return names.length ? names : known.expected;
};

async function fetchSeries() {
  const asked = turn;
  if (!view.cluster || !view.host) return;
  const { series } = await calls.series(view.cluster, view.host);
  if (asked !== turn) return;
  const listed = JSON.stringify(series);
  if (listed === known.listed) return;
  known.listed = listed;
  known.scopes = scopesOf(series, known.metrics, view.host);
  showMetrics();
}

async function fetchPlot(figure) {
  const asked = turn;
  const { metric, scope } = figure.plot;
  const entry = known.scopes.get(metric)?.find((one) => one.scope === scope);
  const frequency = known.metrics.get(metric)?.frequency ?? ROUND_SECONDS_MAX;
  const to = calls.now();
  figure.due = to + frequency;
  const from = to - view.range;
  if (!entry) return figure.show({ found: [], trouble: `${view.host} has no such series`, from, to, left: 0 });
  figure.asking?.abort();
  const asking = (figure.asking = new AbortController());
  const wanted = entry.series.slice(0, SERIES_MAX);
  const resolution = resolutionOf(view.range, frequency);
  const queries = wanted.map(({ query }) => ({ ...query, resolution }));
  const results = await calls.query(view.cluster, from, to + 1, queries, asking.signal).catch((error) => {
    if (asking.signal.aborted) return null;
    throw error;
  });
  if (!results || asked !== turn || figures.get(figure.plot.key) !== figure) return undefined;
  return figure.show({ ...seriesOf(wanted, results), from, to, left: entry.series.length - wanted.length });
}

// ---- What is shown ----

function showClusters() {
  const cells = keyed(byId("clusters"), known.clusters.map(({ name }) => name), (name) =>
    element("li", {}, element("button", { type: "button", click: () => chooseCluster(name) })));
  for (const { name, hosts } of known.clusters) {
    const button = cells.get(name).firstChild;
    say(button, `${name} (${hosts})`);
    button.setAttribute("aria-current", String(name === view.cluster));
  }
  byId("hosts-section").hidden = !view.cluster;
  showHint();
}

function showHint() {
  const hint = !known.clusters.length ? "There are no data yet. Samples are sent to /api/write."
    : !view.cluster ? "Choose a cluster."
    : !view.host ? "Choose a host."
    : !view.plots.length ? "Choose metrics to plot: each button is a scope." : "";
  say(byId("hint"), hint);
  byId("hint").hidden = !hint;
}

function showHosts() {
  grid.show({ ...known, find: view.find, state: view.state, chosen: view.host });
  say(byId("host-health"), healthText(known.health[view.host]));
}

function showMetrics() {
  byId("host-section").hidden = !view.host;
  say(byId("host-title"), view.host ? `${view.cluster} / ${view.host}` : "");
  const rows = keyed(byId("metrics"), view.host ? [...known.scopes.keys()] : [], (metric) =>
    element("li", { "data-metric": metric }, element("span", {}, metric)));
  for (const [metric, row] of rows) {
    const buttons = keyed(row.buttons ??= row.appendChild(element("span", { role: "group", "aria-label": metric })),
      known.scopes.get(metric).map(({ scope }) => scope), (scope) =>
        element("button", { type: "button", "data-scope": scope, click: () => togglePlot(metric, scope) }));
    for (const { scope, series, combined } of known.scopes.get(metric)) {
      const button = buttons.get(scope);
      const many = series.length > 1 ? ` ×${series.length}` : "";
      say(button, combined ? `node (${combined})` : `${scope}${many}`);
      button.setAttribute("aria-label", `${metric} ${button.textContent}`);
      button.setAttribute("aria-pressed", String(view.plots.some((plot) => plot.key === plotKey(metric, scope))));
    }
  }
  showHint();
}

// Makes the figures those of the view, and asks for those that are due.
function showFigures() {
  const plots = view.host ? view.plots : [];
  const nodes = keyed(byId("figures"), plots.map(({ key }) => key), (key) => {
    const plot = view.plots.find((one) => one.key === key);
    const figure = new Figure(plot, { changed: () => writeView(), closed: () => closePlot(plot) });
    figures.set(key, figure);
    figure.due = 0;
    return figure.node;
  });
  for (const [key, figure] of figures) {
    if (nodes.has(key)) continue;
    figure.gone();
    figures.delete(key);
  }
  for (const plot of plots) figures.get(plot.key).plot = plot;
  showHint();
}

// ---- What is chosen ----

function chooseCluster(name) {
  if (name !== view.cluster) Object.assign(view, { cluster: name, host: "", find: "", state: "" });
  writeView(true);
  changed();
}

function chooseHost(host) {
  view.host = host;
  writeView(true);
  changed();
}

function togglePlot(metric, scope) {
  const key = plotKey(metric, scope);
  const isNew = !view.plots.some((plot) => plot.key === key);
  if (isNew) addPlot(metric, scope);
  else removePlot(key);
  writeView();
  showMetrics();
  showFigures();
  round();
  if (isNew) figures.get(key).node.scrollIntoView({ block: "nearest" });
}

function closePlot(plot) {
  removePlot(plot.key);
  writeView();
  showMetrics();
  showFigures();
  byId("what").focus();
}

function chooseRange(seconds) {
  view.range = seconds;
  writeView();
  showControls();
  figures.forEach((figure) => (figure.due = 0));
  round();
}

let of = { cluster: null, host: null };

// The view is another one.
function changed() {
  if (of.cluster !== view.cluster) Object.assign(known, { hosts: [], health: {}, expected: [], complete: true });
  if (of.cluster !== view.cluster || of.host !== view.host) {
    turn += 1;
    Object.assign(known, { listed: "", scopes: new Map() });
  }
  of = { cluster: view.cluster, host: view.host };
  due.hosts = due.series = 0;
  figures.forEach((figure) => (figure.due = 0));
  document.title = [view.host, view.cluster, "cc-metric-store"].filter(Boolean).join(" · ");
  showControls();
  showClusters();
  showHosts();
  showMetrics();
  showFigures();
  round();
}

function showControls() {
  for (const button of byId("range").children) button.setAttribute("aria-pressed", String(Number(button.dataset.seconds) === view.range));
  for (const [id, name] of [["find", "find"], ["state", "state"], ["expected", "expected"]]) {
    if (byId(id).value !== view[name]) byId(id).value = view[name];
  }
  if (view.expected) byId("expected-box").open = true;
  byId("token").hidden = !calls.token();
}

// ---- Rounds ----

const due = { clusters: 0, hosts: 0, series: 0 };
let running = false;
let again = false;
let timer = 0;
let needsToken = false;

const fastest = () => Math.min(ROUND_SECONDS_MAX, ...[...known.metrics.values()].map(({ frequency }) => frequency));

// Asks for everything that is due, then waits until something is. One round at a time: a slow daemon gets no second question.
async function round() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  clearTimeout(timer);
  let wait = 1;
  try {
    do {
      again = false;
      await step();
    } while (again);
    tell("live", `Live · ${timeText(calls.now(), true)}`);
    say(byId("trouble"), "");
    byId("trouble").hidden = true;
  } catch (error) {
    wait = 5;
    report(error);
  }
  running = false;
  if (again) return round();
  if (!needsToken) timer = setTimeout(tick, wait * 1000);
}

function tick() {
  if (paused || document.hidden) timer = setTimeout(tick, 1000);
  else round();
}

async function step() {
  const time = calls.now();
  const isDue = (name, seconds) => time >= due[name] && (due[name] = time + seconds);
  const slow = Math.max(HOSTS_SECONDS_MIN, fastest());
  if (isDue("clusters", slow)) await fetchClusters();
  if (view.cluster && isDue("series", slow)) await fetchSeries();
  const wanted = [...figures.values()].filter((figure) => time >= figure.due);
  await Promise.all(wanted.map(fetchPlot));
  if (view.cluster && isDue("hosts", slow)) await fetchHosts();
}

function tell(state, text) {
  const live = byId("live");
  live.dataset.state = paused ? "paused" : state;
  say(live, paused ? "Paused" : text);
}

function report(error) {
  // What was due is still due.
  due.clusters = due.hosts = due.series = 0;
  figures.forEach((figure) => (figure.due = 0));
  if (error.status === 401) return askToken(error.message);
  const text = error instanceof calls.Trouble ? error.message : `Error on this page: ${error.message}`;
  if (!(error instanceof calls.Trouble)) console.error(error);
  tell("bad", "No answer");
  say(byId("trouble"), `${text} It is tried again every few seconds.`);
  byId("trouble").hidden = false;
}

function askToken(why) {
  needsToken = true;
  tell("bad", "Token needed");
  say(byId("token-why"), why);
  if (!byId("token-dialog").open) byId("token-dialog").showModal();
}

// ---- Controls ----

byId("range").append(...RANGES.map(([seconds, text]) =>
  element("button", { type: "button", "data-seconds": seconds, click: () => chooseRange(seconds) }, text)));
byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  tell("wait", "Loading");
  if (!paused) round();
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("what").focus();
});
byId("find").addEventListener("input", (event) => {
  view.find = event.target.value;
  writeView();
  showHosts();
  due.hosts = Math.min(due.hosts, calls.now() + 1);
});
byId("find").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") grid.focus();
  else if (event.key === "Enter" && grid.shown?.length) {
    const exact = grid.shown.find((host) => host === view.find.trim());
    chooseHost(exact ?? grid.shown[0]);
  } else return;
  event.preventDefault();
});
byId("state").addEventListener("change", (event) => {
  view.state = event.target.value;
  writeView();
  showHosts();
});
byId("expected").addEventListener("change", (event) => {
  view.expected = event.target.value.trim();
  writeView();
  due.hosts = 0;
  round();
});
byId("token").addEventListener("click", () => askToken("Another one can be given here."));
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  calls.keepToken(byId("token-text").value.trim());
  byId("token-text").value = "";
  byId("token-dialog").close();
  showControls();
});
byId("token-forget").addEventListener("click", () => {
  calls.keepToken("");
  byId("token-dialog").close();
  showControls();
});
byId("token-dialog").addEventListener("close", () => {
  needsToken = false;
  if (calls.token()) changed();
});
addEventListener("popstate", () => {
  readView();
  changed();
});
document.addEventListener("visibilitychange", () => !document.hidden && !paused && !needsToken && round());

readView();
changed();
