// Which series a host has, how they are asked for, and what becomes of many at once.

// Most series of one plot; each costs the daemon a read and the browser a line.
export const SERIES_MAX = 512;
// Values of a series that are worth asking for: a plot has some hundred pixels.
const POINTS_MAX = 720;
// The daemon thins out longer data only (SPEC section 4).
const RESAMPLED_POINTS_MIN = 1000;

const SCOPES = ["node", "socket", "memoryDomain", "core", "hwthread", "cpu", "accelerator"];

const byNumber = new Intl.Collator("en", { numeric: true });

const rank = (scope) => (SCOPES.includes(scope) ? SCOPES.indexOf(scope) : SCOPES.length);

// By metric: its scopes, each with its series {label, query}. `listed` is the answer of /api/ui/series, `configured` the
// metrics of the configuration by name. A metric that can be combined has the scope `node` also if the host has none of its own.
export function scopesOf(listed, configured, host) {
  const metrics = new Map();
  for (const { metric, type, ids, subtype, subids } of listed) {
    if (!metrics.has(metric)) metrics.set(metric, new Map());
    const scope = type ? (subtype ? `${type}/${subtype}` : type) : "node";
    const series = (ids ?? [""]).map((id, index) => {
      if (!type) return { label: host, query: { metric, host } };
      const query = { metric, host, type, "type-ids": [id] };
      if (!subtype) return { label: `${type} ${id}`.trim(), query };
      const subid = subids[index];
      Object.assign(query, { subtype, "subtype-ids": [subid] });
      return { label: `${type} ${id} ${subtype} ${subid}`.trim(), query };
    });
    series.sort((a, b) => byNumber.compare(a.label, b.label));
    metrics.get(metric).set(scope, { scope, series, combined: "" });
  }
  for (const [metric, scopes] of metrics) {
    const aggregation = configured.get(metric)?.aggregation;
    if (!scopes.has("node") && aggregation) {
      scopes.set("node", { scope: "node", series: [{ label: `${aggregation} of the host`, query: { metric, host } }], combined: aggregation });
    }
    const sorted = [...scopes.values()].sort((a, b) => rank(a.scope) - rank(b.scope) || byNumber.compare(a.scope, b.scope));
    metrics.set(metric, sorted);
  }
  return metrics;
}

// The step to ask for, so that a range has not too many values: 0 is the metric's own.
export function resolutionOf(range, frequency) {
  const points = range / frequency;
  if (points < RESAMPLED_POINTS_MIN) return 0;
  return Math.ceil(points / POINTS_MAX) * frequency;
}

// The series of an answer: {label, from, step, values, min, avg, max}; those without data are left out.
export function seriesOf(asked, results) {
  const found = [];
  let trouble = "";
  asked.forEach(({ label }, index) => {
    const result = results[index]?.[0];
    if (result?.error) trouble ||= result.error;
    else if (result?.data?.length) {
      const { from, resolution, data, min, avg, max } = result;
      found.push({ label, from, step: resolution, values: data, min, avg, max });
    }
  });
  return { found, trouble };
}

// Minimum, mean and maximum of all series at each time: three series of their own.
export function envelope(series) {
  const step = series[0].step;
  const from = Math.min(...series.map((one) => one.from));
  const length = Math.max(...series.map((one) => Math.floor((one.from - from) / step) + one.values.length));
  const low = new Array(length).fill(null);
  const high = new Array(length).fill(null);
  const sum = new Array(length).fill(0);
  const count = new Array(length).fill(0);
  for (const one of series) {
    const shift = Math.floor((one.from - from) / step);
    one.values.forEach((value, index) => {
      if (value === null) return;
      const at = index + shift;
      low[at] = low[at] === null ? value : Math.min(low[at], value);
      high[at] = high[at] === null ? value : Math.max(high[at], value);
      sum[at] += value;
      count[at] += 1;
    });
  }
  const mean = sum.map((value, index) => (count[index] ? value / count[index] : null));
  return [["min", low], ["avg", mean], ["max", high]].map(([label, values]) => ({ label, from, step, values }));
}

// The value at a time, or null.
export function valueAt(one, time) {
  return one.values[Math.round((time - one.from) / one.step)] ?? null;
}
