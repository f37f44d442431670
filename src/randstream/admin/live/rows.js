"use strict";
// Rows: the table of streams, two lines each: how it flows, and when it was interrupted. Rows out of view are not drawn.
const SPARK = 60, FIELD_FROM = 13, FILLED_AT_ONCE = 30;
const RANK = {stalled: 0, down: 0, streaming: 2, standby: 2, resting: 2, finished: 3};
const rankOf = ({kind, isRecent}) => RANK[kind] - (isRecent && RANK[kind] === 2 ? 1 : 0);

const rows = new Map(), inView = new Set();
let order = "";

const keyOf = (role, {peer, worker}) => role === "producer" ? peer : worker;
const collator = new Intl.Collator(undefined, {numeric: true});
const byName = (a, b) => collator.compare(a.link.worker ?? a.key, b.link.worker ?? b.key);

function pathOf(values, length, height, most) {
  const start = length - values.length;
  return values.map((value, i) => `${i ? "L" : "M"}${start + i} ${(height * (1 - value / most)).toFixed(2)}`).join("");
}

function makeRow(link) {
  const element = byId("row").content.firstElementChild.cloneNode(true);
  const [figures, why, interruptions] = element.rows, [first, second, ...rest] = figures.cells, [past, ...counts] = interruptions.cells;
  const [mark, name, state] = first.firstElementChild.children;
  const row = {element, mark, name, state, why, path: second.querySelector("path"), rate: second.lastElementChild,
    strip: past.querySelector(".strip"), cells: [...rest, ...counts], link, history: [], cell: document.createElement("i"), key: "", kind: "", word: "", isRecent: false,
    past: [], counted: 0, recallAt: 0, marks: [], told: ""};
  row.cell.addEventListener("click", () => { location.hash = addressOf(row.link); });
  element.row = row.strip.row = row;
  viewer.observe(element);
  return row;
}

function whyOf(link) {
  const {state, reason, since, worker, peer, served_by, offset, acked_offset} = link;
  if (state === "standby") return reason ? [reason, true] : [`${served_by ?? "another"} serves`, false];
  if (state === "resting") return [`${peer}: another target leads to this worker, or to one with its name`, false];
  if (isWell(link) && !reason) return ["", false];
  return [[worker && peer, reason, since !== null && `since ${momentText(since, timeNow)}`, `${plural(offset - acked_offset, "number")} not acknowledged`]
    .filter(Boolean).join(" · "), false];
}

function fill(row) {
  const {link} = row, {count, longest, total, availability, current} = link.interruptions, all = count + (current ? 1 : 0);
  setText(row.name, nameOf(link));
  setAttributes(row.name, {href: addressOf(link)});
  setText(row.state, row.word);
  const [text, isWarning] = whyOf(link);
  row.why.hidden = !text;
  row.why.classList.toggle("warn", isWarning);
  setText(row.why.cells[0], text);
  setText(row.rate, isWell(link) ? rateText(link.rate) : "–");
  [whole.format(link.offset), secondsText(link.state === "streaming" ? link.round_trip : null),
    link.silence === null ? "–" : `${secondsText(link.silence)} ago`, whole.format(link.reconnects),
    whole.format(all), all ? lengthText(longest) : "–", all ? lengthText(total) : "–", shareText(availability)]
    .forEach((text, i) => setText(row.cells[i], text));
  row.path.setAttribute("d", pathOf(row.history, SPARK, 19, Math.max(...row.history, 1e-9) * 1.1));
}

function draw(row) {
  fill(row);
  drawStrip(row);
}

const viewer = new IntersectionObserver(changes => {
  for (const {target, isIntersecting} of changes) {
    if (isIntersecting) { inView.add(target.row); draw(target.row); } else inView.delete(target.row);
  }
  recall();
}, {rootMargin: "200px"});

// A standby's offset shows another producer's progress.
const advance = (from, to) => [from, to].some(({state}) => state === "standby") ? 0 : Math.max(0, to.offset - from.offset);

function showLinks(now) {
  const {links} = found && byId("filter").value ? found : now, seen = new Set();
  const elapsed = before ? now.time - before.time : 0;
  for (const link of links) {
    const key = keyOf(now.role, link);
    seen.add(key);
    let row = rows.get(key);
    if (!row) rows.set(key, row = makeRow(link));
    else if (elapsed > 0) row.history = [...row.history, (advance(row.link, link) / elapsed + (row.history.at(-1) ?? link.rate)) / 2].slice(-SPARK);
    row.link = link;
    row.key = key;
    row.kind = kindOf(link.state);
    row.word = wordOf(now.role, link);
    remember(row, link.interruptions);
    if (row.element.className !== row.kind) row.element.className = row.kind;
    if (!before && seen.size <= FILLED_AT_ONCE) fill(row);  // nothing may move when it comes into view
  }
  for (const [key, row] of rows) if (!seen.has(key)) { if (chosen?.row === row) choose(null, null); viewer.unobserve(row.element); inView.delete(row); row.element.remove(); rows.delete(key); }
  arrange(now);
  for (const row of inView) draw(row);
  drawAxis();
  sayInterruptions();
  recall();
}

function arrange(now) {
  const wanted = byId("filter").value.trim().toLowerCase();
  for (const row of rows.values()) {
    row.isRecent = isRecent(row);
    row.cell.className = `${row.kind}${row.isRecent ? " recent" : ""}`;
    row.cell.title = `${nameOf(row.link)}: ${row.word}${row.isRecent ? `, interrupted in the last ${span.text}` : ""}`;
  }
  const sorted = [...rows.values()].sort((a, b) => rankOf(a) - rankOf(b) || byName(a, b));
  const shown = sorted.filter(row => `${row.link.worker ?? ""} ${row.link.peer ?? ""}`.toLowerCase().includes(wanted));
  const newOrder = shown.map(row => row.key).join("\n");
  if (newOrder !== order) {
    order = newOrder;
    const focused = document.activeElement, choice = chosen;
    for (const body of [...byId("streams").tBodies]) body.remove();
    byId("streams").append(...shown.map(row => row.element));
    if (focused.row && focused.isConnected) { focused.focus({preventScroll: true}); chosen = choice; }
  }
  byId("field").hidden = rows.size < FIELD_FROM;
  if (byId("field").children.length !== rows.size) byId("field").replaceChildren(...[...sorted].sort(byName).map(row => row.cell));
  const note = byId("note");
  note.hidden = shown.length > 0 && !now.left_out;
  setText(note, !shown.length ? (wanted ? `No stream is called “${wanted}”.` : "No streams yet.")
    : `${whole.format(shown.length)} of ${whole.format(now.totals.links)} streams are shown, those in trouble first, then the most interrupted. The filter searches all of them.`);
}

