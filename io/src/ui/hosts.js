// The hosts of a cluster: a grid of cells that says how each is, found by name, walked through with the arrow keys.

import { byId, element, keyed, say } from "./element.js";

// Cells at once; beyond, the search has to narrow it.
const CELLS_MAX = 3000;

const STATES = { full: "all metrics arrive", partial: "some metrics are missing", failed: "no metrics arrive" };

// Whether a name is what is looked for: a part of it, or the whole with * for anything.
export function matcher(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted.includes("*")) return (name) => name.toLowerCase().includes(wanted);
  const parts = wanted.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join(".*")}$`);
  return (name) => pattern.test(name.toLowerCase());
}

// What is wrong with a host, in words.
export function healthText(health) {
  if (!health) return "";
  const lists = health.HealthMetrics ? JSON.parse(health.HealthMetrics) : {};
  const parts = [`${health.State}: ${STATES[health.State] ?? ""}`];
  if (lists.missing?.length) parts.push(`missing: ${lists.missing.join(", ")}`);
  if (lists.degraded?.length) parts.push(`late: ${lists.degraded.join(", ")}`);
  return parts.join("; ");
}

export class HostGrid {
  constructor(choose) {
    this.grid = byId("hosts");
    this.choose = choose;
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("focusin", (event) => this.tabStop(event.target));
    this.grid.addEventListener("click", (event) => {
      const cell = event.target.closest(".host");
      if (cell) this.choose(cell.dataset.host);
    });
  }

  // Shows the hosts that are looked for; `health` by host. `hosts` may be those of a part only: `complete` says so.
  show({ hosts, complete, health, find, state, chosen }) {
    const isWanted = matcher(find);
    const named = hosts.filter(isWanted);
    const wanted = state ? named.filter((host) => health[host]?.State === state) : named;
    this.shown = wanted.slice(0, CELLS_MAX);
    const cells = keyed(this.grid, this.shown, (host) =>
      element("div", { class: "host", role: "option", tabindex: -1, "data-host": host }, host));
    for (const [host, cell] of cells) {
      const is = health[host]?.State ?? "";
      if (cell.dataset.state !== is) {
        cell.dataset.state = is;
        cell.setAttribute("aria-label", is ? `${host}: ${is}` : host);
      }
      const title = healthText(health[host]) || host;
      if (cell.title !== title) cell.title = title;
      cell.setAttribute("aria-selected", String(host === chosen));
    }
    if (!this.grid.contains(document.activeElement)) {
      this.tabStop(cells.get(chosen) ?? this.grid.firstElementChild);
    }
    const count = (state) => named.filter((host) => health[host]?.State === state).length;
    const counts = Object.keys(STATES).map((state) => `${count(state)} ${state}`);
    const total = named.length === hosts.length ? `${hosts.length} hosts` : `${named.length} of ${hosts.length} hosts`;
    say(byId("summary"), `${total}: ${counts.join(", ")}`);
    const left = wanted.length - this.shown.length;
    const more = left > 0 ? `${left} more: narrow the search.` : complete ? "" : "There are more hosts than are listed.";
    say(byId("more"), wanted.length ? more : "No host is like that.");
    byId("more").hidden = wanted.length > 0 && !more;
  }

  // One cell is in the order of the tab key; the arrow keys lead to the others.
  tabStop(cell) {
    if (!cell?.classList.contains("host")) return;
    this.grid.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
  }

  focus() {
    this.grid.querySelector('[tabindex="0"]')?.focus();
  }

  key(event) {
    const cells = [...this.grid.children];
    const at = cells.indexOf(document.activeElement);
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(cells[at].dataset.host);
      return;
    }
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0,
      End: cells.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    cells[to]?.focus();
  }
}
