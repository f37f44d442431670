"use strict";
// Text: how figures and times are written. Names and messages come from peers: they reach the page only as text, never as markup.
const byId = id => document.getElementById(id);
const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const setAttributes = (element, values) => {
  for (const [name, value] of Object.entries(values)) if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

const whole = new Intl.NumberFormat(), short = new Intl.NumberFormat(undefined, {notation: "compact", maximumSignificantDigits: 3});
const rateText = rate => rate >= 10000 ? short.format(rate) : whole.format(rate >= 9.95 ? Math.round(rate) : Math.round(rate * 10) / 10);
const countText = count => count >= 1e9 ? short.format(count) : whole.format(count);
const bytesText = bytes => {
  const power = Math.min(5, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${whole.format(Number((bytes / 1024 ** power).toPrecision(3)))} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][power]}`;
};
const secondsText = seconds =>
  seconds === null ? "–" : seconds < 0.001 ? `${Math.round(seconds * 1e6)} µs` : seconds < 1 ? `${(seconds * 1000).toPrecision(3)} ms`
  : seconds < 120 ? `${seconds.toFixed(1)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
const lengthText = seconds => seconds < 120 ? secondsText(seconds) : seconds < 7200 ? `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
  : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
const spanText = seconds => seconds < 120 ? `${Math.floor(seconds)} s` : lengthText(seconds);
const valueText = value => Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 0.01) ? value.toExponential(1) : whole.format(Number(value.toPrecision(4)));
const nameOf = ({worker, peer}) => worker ?? peer ?? "nobody";
const plural = (count, word) => `${whole.format(count)} ${word}${count === 1 ? "" : "s"}`;
// Rounded down: an interrupted stream never shows 100 %.
const shareText = share => share === null ? "–" : `${Math.floor(share * 1e5) / 1e3} %`;

const clock = new Intl.DateTimeFormat(undefined, {timeStyle: "medium", hourCycle: "h23"});
const weekdayClock = new Intl.DateTimeFormat(undefined, {weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"});
const minuteClock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", hourCycle: "h23"});
const clockText = seconds => clock.format(seconds * 1000);
const dayOf = seconds => new Date(seconds * 1000).toDateString();
const momentText = (seconds, now) => (dayOf(seconds) === dayOf(now) ? clock : weekdayClock).format(seconds * 1000);
