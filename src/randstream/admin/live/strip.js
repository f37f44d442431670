"use strict";
// Strip: when a stream was interrupted, over a span of time: a band as far back as is known, with a mark for each interruption.
// An event brings the last few of each link; older ones are fetched once, when the row comes into view.
const KEPT = 100, RECALL_MS = 10000;
const HIGH = 16, LEAST = 2, REACH = 8;  // pixels: the band's height, the narrowest mark, and how close together marks become one choice
const SPANS = {
  "15m": {seconds: 900, step: 300, text: "15 minutes"},
  "6h": {seconds: 21600, step: 3600, text: "6 hours"},
  "24h": {seconds: 86400, step: 14400, text: "24 hours"},
};
const FAMILIES = {planned: 5, paused: 10, lost: HIGH};  // the heights of their marks; the most serious is last and drawn on top
const FAMILY = {silence: "paused", stalled: "paused", "hand-over": "planned", shutdown: "planned"};
const CAUSES = {
  silence: "the connection lived, but nothing came", stalled: "the sink took no numbers", cut: "the connection ended without a reason",
  timeout: "three heartbeats of silence", shutdown: "the other end was stopped or restarted", "hand-over": "the worker chose another producer",
  takeover: "the producer dialled again before the loss was noticed", mismatch: "a checksum or a count did not match",
  malformed: "damage on the wire", "too-long": "damage on the wire", refused: "one end would not go on", busy: "the worker had no room",
};

const bubble = byId("bubble");
let span = SPANS["15m"], stripWidth = 0, timeNow = 0, startedAt = 0, chosen = null, isRecalling = false;

function remember(row, {count, last}) {
  const fresh = count - row.counted;
  if (fresh < 0 || fresh > last.length || row.past.length + fresh <= last.length) row.past = last;
  else if (fresh) row.past = [...row.past, ...last.slice(-fresh)].slice(-KEPT);
  row.counted = count;
}

const endOf = ({start, seconds}) => start + seconds;
const isShort = row => row.past.length > 0 && row.past.length < Math.min(row.counted, KEPT);
const knownSince = row => row.past.length < row.counted ? row.past[0]?.start ?? timeNow : startedAt;
const newestOf = row => row.link.interruptions.current ?? row.past.at(-1);
const isRecent = row => newestOf(row) !== undefined && endOf(newestOf(row)) >= timeNow - span.seconds;

async function recall() {
  if (isRecalling) return;
  isRecalling = true;
  try {
    for (const row of drawn) {
      if (!isShort(row) || performance.now() < row.recallAt) continue;
      row.recallAt = performance.now() + RECALL_MS;
      const {role, links} = await ask({limit: 50, interruptions: KEPT, filter: row.key});
      const last = links.find(link => keyOf(role, link) === row.key)?.interruptions.last ?? [];
      row.past = [...last.filter(({start}) => start < row.past[0].start), ...row.past].slice(-KEPT);
      drawStrip(row);
    }
  } catch { /* the next event tries again */ } finally { isRecalling = false; }
}

// What can be chosen: one interruption, or several that are too close together to point at.
function marksOf({past, link: {interruptions: {current}}}) {
  const from = timeNow - span.seconds, xOf = time => (time - from) * stripWidth / span.seconds, marks = [];
  for (const one of current ? [...past, current] : past) {
    if (endOf(one) < from) continue;
    const left = Math.min(Math.max(0, xOf(one.start)), stripWidth - LEAST), right = Math.max(xOf(endOf(one)), left + LEAST), last = marks.at(-1);
    const box = {left, right, family: FAMILY[one.cause] ?? "lost"};
    if (!last || right - last.left > REACH) marks.push({left, right, boxes: [box], of: [one], goesOn: one === current});
    else { last.right = Math.max(last.right, right); last.boxes.push(box); last.of.push(one); last.goesOn = one === current; }
  }
  return marks;
}

function tellMark({of, goesOn}) {
  const [first] = of, last = of.at(-1), seconds = of.reduce((sum, one) => sum + one.seconds, 0), causes = new Map();
  for (const {cause} of of) causes.set(cause, (causes.get(cause) ?? 0) + 1);
  const times = `${momentText(first.start, timeNow)} ${goesOn ? "until now" : `to ${momentText(endOf(last), timeNow)}`}`;
  if (of.length > 1) return [`${of.length} interruptions, ${lengthText(seconds)} in all`,
    `${times} · the longest ${lengthText(Math.max(...of.map(one => one.seconds)))} · ${[...causes].map(([cause, count]) => `${count} × ${cause}`).join(", ")}`];
  const {cause, unnoticed} = first;
  return [`${lengthText(seconds)}, ${cause}`, [times, CAUSES[cause], unnoticed !== null && `noticed after ${lengthText(unnoticed)}`].filter(Boolean).join(" · ")];
}

const boxPath = (left, right, high) => `M${left.toFixed(1)} ${HIGH - high}H${right.toFixed(1)}V${HIGH}H${left.toFixed(1)}Z`;
const offsetOfZone = time => new Date(time * 1000).getTimezoneOffset() * 60;

function roundTimes(from, until, step) {
  const zone = offsetOfZone(until), found = [];
  for (let time = Math.ceil((from - zone) / step) * step + zone; time < until; time += step) found.push(time);
  return found;
}

// The round times within the span, each with its position in pixels.
function ticks() {
  const from = timeNow - span.seconds;
  return roundTimes(from, timeNow, span.step).map(time => [time, (time - from) * stripWidth / span.seconds]);
}

function drawStrip(row) {
  const {strip, past} = row, name = nameOf(row.link), marks = row.marks = marksOf(row);
  const [unknown, known, grid, planned, paused, lost, choice] = strip.firstElementChild.children, paths = {planned, paused, lost};
  const begin = Math.min(Math.max(0, (knownSince(row) - timeNow + span.seconds) * stripWidth / span.seconds), stripWidth);
  setAttributes(strip.firstElementChild, {viewBox: `0 0 ${stripWidth} ${HIGH}`});
  setAttributes(unknown, {d: begin > 0 ? `M0 ${HIGH / 2}H${begin.toFixed(1)}` : ""});
  setAttributes(known, {d: boxPath(begin, stripWidth, HIGH)});
  setAttributes(grid, {d: ticks().map(([, x]) => `M${x.toFixed(1)} 0V${HIGH}`).join("")});
  const boxes = marks.flatMap(mark => mark.boxes);
  for (const [family, high] of Object.entries(FAMILIES))
    setAttributes(paths[family], {d: boxes.filter(box => box.family === family).map(({left, right}) => boxPath(left, right, high)).join("")});
  const at = chosen?.row === row ? marks.findIndex(({of}) => of.some(({start}) => Math.abs(start - chosen.start) < 0.1)) : -1, mark = marks[at];
  setAttributes(choice, {d: mark ? boxPath(mark.left - 2, mark.right + 2, HIGH) : ""});
  if (chosen?.row === row) showBubble(row, mark);
  // What a screen reader reads out changes with the choice, not every second.
  const told = [span.text, name, at, marks.length, row.counted, past.length].join("\n");
  if (row.told === told) return;
  row.told = told;
  if (!marks.length) for (const given of ["tabindex", "aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"]) strip.removeAttribute(given);
  setAttributes(strip, marks.length ? {
    role: "slider", tabindex: 0, "aria-label": `Interruptions of ${name} in the last ${span.text}`, "aria-valuemin": 1, "aria-valuemax": marks.length,
    "aria-valuenow": mark ? at + 1 : marks.length, "aria-valuetext": tellMark(mark ?? marks.at(-1)).join(". "),
  } : {role: "img", "aria-label": `${name}: no known interruption in the last ${span.text}`});
}

function showBubble({strip}, mark) {
  const [head, text] = bubble.children;
  bubble.hidden = !mark;
  if (!mark) return;
  if (strip.nextSibling !== bubble) strip.after(bubble);
  const told = tellMark(mark);
  setText(head, told[0]);
  setText(text, told[1]);
  bubble.style.left = `${Math.max(0, Math.min((mark.left + mark.right - bubble.offsetWidth) / 2, stripWidth - bubble.offsetWidth))}px`;
}

function choose(row, mark) {
  const before = chosen?.row;
  chosen = mark ? {row, start: mark.of.at(-1).start} : null;
  bubble.hidden = !mark;
  for (const changed of new Set([before, row])) if (changed) drawStrip(changed);
}

function pointAt({type, pointerType, target, clientX}) {
  if (target.closest(".bubble") || type === "pointerleave" && pointerType === "touch") return;  // a finger is lifted to read
  const row = target.closest(".strip")?.row, x = row ? clientX - row.strip.getBoundingClientRect().left : 0;
  const distance = ({left, right}) => Math.max(left - x, x - right, 0);
  const [mark] = row ? row.marks.filter(mark => distance(mark) <= REACH).sort((a, b) => distance(a) - distance(b)) : [];
  if (mark) choose(row, mark);
  else if (chosen && chosen.row.strip !== document.activeElement) choose(null, null);
}

function stepTo(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const {marks} = event.target.row, now = Number(event.target.getAttribute("aria-valuenow")) - 1;
  const next = {ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: marks.length - 1}[event.key];
  if (next !== undefined && marks.length) { event.preventDefault(); choose(event.target.row, marks[Math.min(Math.max(0, next), marks.length - 1)]); }
}

function drawAxis(isStale = false) {
  const axis = byId("axis"), shown = ticks().filter(([, x]) => x > 20 && x < stripWidth - (isStale ? 80 : 50));
  while (axis.children.length > shown.length + 1) axis.firstElementChild.remove();
  while (axis.children.length < shown.length + 1) axis.prepend(document.createElement("span"));
  shown.forEach(([time, x], i) => { setText(axis.children[i], minuteClock.format(time * 1000)); axis.children[i].style.left = `${x.toFixed(1)}px`; });
  setText(axis.lastElementChild, isStale ? clockText(timeNow) : "now");
}

// The summary, in words.
function sayInterruptions() {
  const recent = [...rows.values()].filter(isRecent), from = timeNow - span.seconds;
  const since = startedAt > from ? `since ${momentText(startedAt, timeNow)}, when this process started` : `in the last ${span.text}`;
  const [newest] = recent.toSorted((a, b) => endOf(newestOf(b)) - endOf(newestOf(a)));
  if (!newest) return setText(byId("told"), rows.size ? `${rows.size === 1 ? "Not interrupted" : "No stream was interrupted"} ${since}.` : "");
  const {start, seconds, cause} = newestOf(newest), isNow = newest.link.interruptions.current !== null;
  setText(byId("told"), `${rows.size === 1 ? "Interrupted" : `${whole.format(recent.length)} of ${plural(rows.size, "stream")} interrupted`} ${since}; `
    + `${isNow ? "now" : "last"} ${nameOf(newest.link)}, ${isNow ? `since ${momentText(start, timeNow)}` : `for ${lengthText(seconds)} at ${momentText(start, timeNow)}`} (${cause}).`);
}

function drawStrips() {
  drawAxis();
  for (const row of drawn) drawStrip(row);
  sayInterruptions();
}

function chooseSpan(name) {
  span = SPANS[name];
  document.querySelector(`#spans input[value="${name}"]`).checked = true;
}

function watchStrips() {
  const table = byId("streams"), asked = inAddress("window");
  if (Object.hasOwn(SPANS, asked)) chooseSpan(asked);
  byId("spans").addEventListener("change", ({target}) => {
    chooseSpan(target.value);
    keepInAddress("window", target.value);
    if (before) { arrange(before); drawStrips(); }
  });
  new ResizeObserver(() => { stripWidth = byId("axis").clientWidth; drawStrips(); }).observe(byId("axis"));
  table.addEventListener("pointermove", pointAt);
  table.addEventListener("pointerdown", pointAt);
  table.addEventListener("pointerleave", pointAt);
  table.addEventListener("focusin", ({target}) => { if (target.row?.marks && chosen?.row !== target.row) choose(target.row, target.row.marks.at(-1)); });
  table.addEventListener("focusout", () => choose(null, null));
  table.addEventListener("keydown", event => { if (event.target.row?.marks) stepTo(event); });
  document.addEventListener("keydown", ({key}) => { if (key === "Escape" && chosen) choose(null, null); });
}
