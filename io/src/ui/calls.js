// The calls to the daemon, the token they carry, and the daemon's clock.

const TOKEN_KEY = "cc-metric-store-token";
const TIMEOUT_MS = 20_000;

let clockAheadMs = 0;

// Why a call was not answered. `status` is 0 if there was no answer at all.
export class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = () => sessionStorage.getItem(TOKEN_KEY) ?? "";

export function keepToken(text) {
  if (text) sessionStorage.setItem(TOKEN_KEY, text);
  else sessionStorage.removeItem(TOKEN_KEY);
}

// Seconds since 1970 by the daemon's clock, which stamps and judges the samples; the browser's may be wrong.
export const now = () => Math.floor((Date.now() + clockAheadMs) / 1000);

async function call(path, body, signal) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const options = { headers, cache: "no-store", signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
  if (body) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Trouble(0, "The daemon does not answer.");
  }
  const date = Date.parse(response.headers.get("date"));
  // The header has whole seconds: a difference of less says nothing.
  if (date) clockAheadMs = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Trouble(response.status, answer.error ?? `${response.status} ${response.statusText}`);
  return answer;
}

const parameters = (values) => new URLSearchParams(values).toString();

// {clusters: [{name, hosts}], metrics: [{name, frequency, aggregation}]}
export const clusters = () => call("/api/ui/clusters");

// {hosts: [name], complete}
export const hosts = (cluster) => call(`/api/ui/hosts?${parameters({ cluster })}`);

// {series: [{metric, type?, ids?, subtype?, subids?}], complete}
export const series = (cluster, host) => call(`/api/ui/series?${parameters({ cluster, host })}`);

// {host: {State, HealthMetrics}}
export const health = (cluster, nodes, metrics) =>
  call("/api/healthcheck", { cluster, nodes, "metric-names": metrics });

// One list of results for each query.
export async function query(cluster, from, to, queries, signal) {
  const body = { cluster, from, to, "with-padding": false, queries };
  return (await call("/api/query", body, signal)).results;
}
