// Where the lines of a grid are, and how times and values are written.

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const SUFFIXES = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

const two = (number) => String(number).padStart(2, "0");

// Local time; with seconds if they matter.
export function timeText(time, seconds = false) {
  const date = new Date(time * 1000);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return seconds ? `${text}:${two(date.getSeconds())}` : text;
}

export function dateText(time) {
  const date = new Date(time * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export const momentText = (time) => `${dateText(time)} ${timeText(time, true)}`;

// At most `count` times in [from, to], at round times of the day.
export function timeTicks(from, to, count) {
  const step = STEPS.find((step) => (to - from) / step <= count) ?? 86400 * Math.ceil((to - from) / 86400 / count);
  const ticks = [];
  const shift = new Date(to * 1000).getTimezoneOffset() * 60;
  for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) {
    const text = timeText(time, step < 60);
    ticks.push({ time, text: text === "00:00" ? dateText(time).slice(5) : text });
  }
  return ticks;
}

// Round values from below `low` to above `high`.
export function valueTicks(low, high, count) {
  if (low >= 0 && low <= high * 0.7) low = 0;
  if (low === high) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
  const ticks = [];
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  for (let index = first; index <= last && ticks.length < 20; index += 1) ticks.push(index * step);
  return ticks;
}

// A short text for an axis: 1.2k, 3M.
export function shortText(value) {
  const size = Math.abs(value);
  const [unit, suffix] = SUFFIXES.find(([unit]) => size >= unit) ?? [1, ""];
  if (size >= 1e18 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return String(Number((value / unit).toPrecision(4))) + suffix;
}

// As the daemon answers: three decimals at most, thousands apart.
export function valueText(value) {
  if (value == null) return "–";
  if (Math.abs(value) >= 1e15) return value.toExponential(4);
  return value.toLocaleString("en", { maximumFractionDigits: 3 }).replaceAll(",", "\u202f");
}
