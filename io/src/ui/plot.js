// Draws series over time as SVG: a grid, a line for each series with gaps where values are missing, a band between the
// smallest and the largest of many.

import { shape } from "./element.js";
import { shortText, timeTicks, valueTicks } from "./axis.js";

const LEFT = 52;
const RIGHT = 14;
const TOP = 8;
const BOTTOM = 22;
export const COLOURS = 8;

const round = (number) => Math.round(number * 10) / 10;

// The drawing, and how to get from times and values to pixels and back. `lines` are drawn, `band` is [low, high] or nothing.
export function draw({ width, height, from, to, lines, band, many }) {
  const [low, high] = extent(band ?? lines);
  const values = valueTicks(low, high, height < 180 ? 3 : 5);
  const [bottom, top] = [values[0], values[values.length - 1]];
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - ((value - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  const timeOf = (pixel) => from + ((pixel - LEFT) / (width - LEFT - RIGHT)) * (to - from);

  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true", class: many ? "many" : "" });
  for (const value of values) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
    svg.append(shape("text", { x: LEFT - 6, y: at + 3.5, "text-anchor": "end" }, shortText(value)));
  }
  for (const { time, text } of timeTicks(from, to, Math.max(2, Math.floor(width / 90)))) {
    const at = Math.round(x(time)) + 0.5;
    svg.append(shape("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: height - BOTTOM }));
    svg.append(shape("text", { x: Math.min(at, width - 16), y: height - 6, "text-anchor": "middle" }, text));
  }
  const base = Math.round(y(bottom)) + 0.5;
  svg.append(shape("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: base, y2: base }));
  if (band) svg.append(shape("path", { class: "band", d: bandPath(band, x, y) }));
  lines.forEach((line, index) => {
    const colour = line.colour ?? index % COLOURS;
    svg.append(shape("path", { class: `series c${colour}`, d: linePath(line, x, y), "data-label": line.label }));
  });
  const cursor = shape("g", { class: "cursor-marks" });
  svg.append(cursor);
  return { svg, cursor, x, y, timeOf, top: TOP, base };
}

// Lowest and highest value; 0 to 1 if there are none.
function extent(lines) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of lines) {
    for (const value of values) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

// A value without neighbours is a dot: a line of no length with round ends.
function linePath({ from, step, values }, x, y) {
  const path = [];
  let isGap = true;
  values.forEach((value, index) => {
    if (value === null) {
      isGap = true;
      return;
    }
    path.push(`${isGap ? "M" : "L"}${round(x(from + index * step))} ${round(y(value))}`);
    if (isGap && (values[index + 1] ?? null) === null) path.push("h0");
    isGap = false;
  });
  return path.join("");
}

function bandPath([low, high], x, y) {
  const path = [];
  let index = 0;
  while (index < low.values.length) {
    const first = index;
    while (index < low.values.length && low.values[index] !== null) index += 1;
    if (index === first) {
      index += 1;
      continue;
    }
    const point = ({ from, step, values }, at) => `${round(x(from + at * step))} ${round(y(values[at]))}`;
    for (let at = first; at < index; at += 1) path.push(`${at === first ? "M" : "L"}${point(high, at)}`);
    for (let at = index - 1; at >= first; at -= 1) path.push(`L${point(low, at)}`);
    path.push("Z");
  }
  return path.join("");
}

// A vertical line at a time, and a dot on each line.
export function mark(drawing, time, points) {
  drawing.cursor.replaceChildren();
  if (time === null) return;
  const at = Math.round(drawing.x(time)) + 0.5;
  drawing.cursor.append(shape("line", { class: "cursor", x1: at, x2: at, y1: drawing.top, y2: drawing.base }));
  for (const { colour, value } of points) {
    drawing.cursor.append(shape("circle", { class: `dot f${colour}`, cx: at, cy: drawing.y(value), r: 3.5 }));
  }
}
