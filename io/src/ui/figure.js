// One metric and scope over time: heading, plot, tooltip, legend, and the same as a table.

import { element, keyed, say, shape } from "./element.js";
import { COLOURS, draw, mark } from "./plot.js";
import { envelope, valueAt } from "./series.js";
import { dateText, momentText, shortText, timeText, valueText } from "./axis.js";

// More series than this are a band, unless each is wanted.
const LINES_MAX = COLOURS;
const TABLE_ROWS_MAX = 500;
const TABLE_SERIES_MAX = 16;
const HEIGHT = 210;
const PAGE_STEPS = 10;

export class Figure {
  // `plot` is an entry of the view; `changed` is called when its way of drawing changed, `closed` when it is to go.
  constructor(plot, { changed, closed }) {
    this.plot = plot;
    this.shown = null;
    this.time = null;
    const name = `${plot.metric}, ${plot.scope}`;
    this.stats = element("span", { class: "note" });
    this.each = element("button", { type: "button", hidden: true, "aria-pressed": "false", click: () => {
      this.plot.each = !this.plot.each;
      changed();
      this.redraw();
    } }, "Each series");
    const close = element("button", { type: "button", "aria-label": `Remove ${name}`, title: "Remove", click: closed }, "✕");
    this.tip = element("div", { class: "tip", hidden: true });
    this.message = element("p", { class: "message" }, "Loading …");
    // Moved along by the arrow keys, and read out as what it is: a position with a text.
    this.area = element("div", {
      class: "plot", role: "slider", tabindex: 0, "aria-label": `${name}: time`, "aria-orientation": "horizontal",
      "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "no values",
      pointermove: (event) => this.point(event), pointerdown: (event) => this.point(event),
      pointerleave: () => this.select(null), blur: () => this.select(null),
      focus: () => this.time === null && this.shown && this.select(this.lastTime()),
      keydown: (event) => this.key(event),
    }, this.message, this.tip);
    this.legend = element("ul", { class: "legend", "aria-label": "Series" });
    this.values = element("div", { class: "values", tabindex: 0, role: "region", "aria-label": `Values of ${name}` });
    this.table = element("details", { toggle: () => this.writeTable() }, element("summary", {}, "Values as a table"), this.values);
    this.node = element("section", { class: "figure", "aria-label": name },
      element("div", { class: "figure-head" },
        element("h3", {}, plot.metric, element("span", { class: "note" }, ` · ${plot.scope}`)), this.stats, this.each, close),
      this.area, this.legend, this.table);
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.area);
  }

  gone() {
    this.observer.disconnect();
  }

  // Shows what was found; `data` is {found, trouble, from, to, left}: `left` series were not asked for.
  show(data) {
    this.shown = data;
    this.redraw();
  }

  redraw() {
    const width = this.area.clientWidth;
    if (!this.shown || !width) return;
    const { found, trouble, from, to, left } = this.shown;
    const isMany = found.length > LINES_MAX;
    const [low, mean, high] = isMany ? envelope(found) : [];
    const each = isMany && this.plot.each;
    const lines = isMany && !each ? [{ ...mean, label: `avg of ${found.length}`, colour: 0 }] : found;
    this.lines = lines;
    this.rows = isMany && !each ? [high, mean, low].map((one) => ({ ...one, colour: 0 })) : lines;
    this.band = isMany && !each ? [low, high] : null;
    this.drawing = draw({ width, height: HEIGHT, from, to, lines, band: this.band, many: each });
    this.area.querySelector("svg")?.remove();
    this.area.prepend(this.drawing.svg);
    say(this.message, found.length ? "" : trouble || "No values in this range");
    this.each.hidden = !isMany;
    this.each.setAttribute("aria-pressed", String(each));
    this.writeStats(found, left, trouble);
    this.writeLegend();
    this.writeTable();
    this.select(this.time);
  }

  writeStats(found, left, trouble) {
    const all = (name) => found.map((one) => one[name]).filter((value) => value != null);
    const [mins, avgs, maxs] = [all("min"), all("avg"), all("max")];
    const mean = avgs.reduce((sum, value) => sum + value, 0) / avgs.length;
    const parts = avgs.length ? [`min ${shortText(Math.min(...mins))}`, `avg ${shortText(mean)}`, `max ${shortText(Math.max(...maxs))}`] : [];
    if (left) parts.push(`first ${found.length} of ${found.length + left} series`);
    if (trouble && found.length) parts.push(trouble);
    say(this.stats, parts.join(" · "));
  }

  writeLegend() {
    const entries = this.lines.length > LINES_MAX ? [] : this.lines;
    const latest = (line) => line.values.findLast((value) => value !== null);
    const known = keyed(this.legend, entries.map(({ label }) => label), () => element("li"));
    entries.forEach((line, index) => {
      const colour = line.colour ?? index;
      const sample = shape("svg", { "aria-hidden": "true" }, shape("path", { class: `series c${colour}`, d: "M1 5H25" }));
      const band = this.band ? "; the band is from min to max" : "";
      known.get(line.label).replaceChildren(sample, `${line.label}: ${shortText(latest(line) ?? 0)}${band}`);
    });
    this.legend.hidden = entries.length === 0;
  }

  // The same as numbers, newest first; written only while it is open.
  writeTable() {
    if (!this.table.open || !this.rows) return;
    const columns = this.rows.slice(0, TABLE_SERIES_MAX);
    const times = this.times().reverse().slice(0, TABLE_ROWS_MAX);
    const head = element("tr", {}, element("th", { scope: "col" }, "Time"),
      ...columns.map(({ label }) => element("th", { scope: "col" }, label)));
    const rows = times.map((time) => element("tr", { "data-time": time },
      element("th", { scope: "row" }, momentText(time)),
      ...columns.map((one) => element("td", {}, valueText(valueAt(one, time))))));
    const left = this.rows.length - columns.length;
    const note = left > 0 ? [element("p", { class: "note" }, `${left} more series are not shown here.`)] : [];
    this.values.replaceChildren(...note, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  // The times of all values, oldest first.
  times() {
    if (!this.rows?.length) return [];
    const { step } = this.rows[0];
    const from = Math.min(...this.rows.map((one) => one.from));
    const to = Math.max(...this.rows.map((one) => one.from + (one.values.length - 1) * one.step));
    return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
  }

  lastTime() {
    return this.times().at(-1) ?? null;
  }

  point(event) {
    if (!this.drawing) return;
    const time = this.drawing.timeOf(event.clientX - this.area.getBoundingClientRect().left);
    this.pointed = this.drawing.y && event.clientY - this.area.getBoundingClientRect().top;
    const times = this.times();
    if (times.length) this.select(times.reduce((best, one) => (Math.abs(one - time) < Math.abs(best - time) ? one : best)));
  }

  key(event) {
    const times = this.times();
    if (!times.length) return;
    const at = this.time === null ? times.length - 1 : Math.max(0, times.findIndex((time) => time >= this.time));
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: times.length - 1,
      PageUp: at - PAGE_STEPS, PageDown: at + PAGE_STEPS }[event.key];
    if (event.key === "Escape") this.select(null);
    if (to === undefined) return;
    event.preventDefault();
    this.pointed = null;
    this.select(times[Math.min(Math.max(to, 0), times.length - 1)]);
  }

  // Shows the values at a time; none: hides them.
  select(time) {
    this.time = time;
    if (!this.drawing) return;
    const rows = time === null ? [] : this.rowsAt(time);
    mark(this.drawing, time, rows.filter(({ value }) => value !== null));
    this.tip.hidden = time === null;
    const times = this.times();
    this.area.setAttribute("aria-valuemax", Math.max(0, times.length - 1));
    if (time === null) return;
    const texts = rows.map(({ label, value }) => `${label} ${valueText(value)}`);
    this.area.setAttribute("aria-valuenow", Math.max(0, times.indexOf(time)));
    this.area.setAttribute("aria-valuetext", `${timeText(time, true)}: ${texts.join(", ")}`);
    this.tip.replaceChildren(
      element("strong", {}, `${dateText(time)} ${timeText(time, true)}`),
      element("table", {}, ...rows.map(({ label, value }) =>
        element("tr", {}, element("td", {}, label), element("td", {}, valueText(value))))));
    const at = this.drawing.x(time);
    const width = this.tip.offsetWidth;
    const left = at + 12 + width > this.area.clientWidth ? Math.max(0, at - 12 - width) : at + 12;
    this.tip.style.transform = `translateX(${left}px)`;
  }

  // What to tell of a time: of many series those nearest to the pointer.
  rowsAt(time) {
    const rows = this.rows.map((one, index) => ({ label: one.label, value: valueAt(one, time), colour: one.colour ?? index % COLOURS }));
    if (rows.length <= LINES_MAX) return rows;
    const distance = ({ value }) => (value === null ? Infinity : Math.abs(this.drawing.y(value) - (this.pointed ?? 0)));
    return rows.sort((a, b) => distance(a) - distance(b)).slice(0, LINES_MAX);
  }
}
