"use strict";
// Rows: the streams, two lines each: how it flows, and when it was interrupted.
const SPARK = 60, FIELD_FROM = 13;
const RANK = {stalled: 0, down: 0, streaming: 2, standby: 2, resting: 2, finished: 3};
const rankOf = ({kind, isRecent}) => RANK[kind] - (isRecent && RANK[kind] === 2 ? 1 : 0);

const rows = new Map();

const keyOf = (role, {peer, worker}) => role === "producer" ? peer : worker;

function pathOf(values, length, height, most) {
  const start = length - values.length;
  return values.map((value, i) => `${i ? "L" : "M"}${start + i} ${(height * (1 - value / most)).toFixed(2)}`).join("");
}

function makeRow(link) {
  const row = {link, key: "", kind: "", word: "", isRecent: false, history: [], past: [], counted: 0, recallAt: 0, marks: [], told: "",
    cell: document.createElement("i"), element: null, height: 0};
  row.cell.addEventListener("click", () => { location.hash = addressOf(row.link); });
  return row;
}

function makeElement(row) {
  const element = byId("row").content.firstElementChild.cloneNode(true);
  const [figures, why, interruptions] = element.rows, [first, second, ...rest] = figures.cells, [past, ...counts] = interruptions.cells;
  const [, name, state] = first.firstElementChild.children;
  Object.assign(row, {name, state, why, path: second.querySelector("path"), rate: second.lastElementChild, strip: past.querySelector(".strip"), cells: [...rest, ...counts]});
  row.strip.row = row;
  return element;
}

function whyOf(link) {
  const {state, reason, since, worker, peer, served_by, offset, acked_offset} = link;
  if (state === "standby") return reason ? [reason, true] : [`${served_by ?? "another"} serves`, false];
  if (state === "resting") return [`${peer}: another target leads to this worker, or to one with its name`, false];
  if (isWell(link) && !reason) return ["", false];
  return [[worker && peer, reason, since !== null && `since ${momentText(since, timeNow)}`, `${plural(offset - acked_offset, "number")} not acknowledged`]
    .filter(Boolean).join(" · "), false];
}

function draw(row) {
  const {link} = row, {count, longest, total, availability, current} = link.interruptions, all = count + (current ? 1 : 0);
  if (row.element.className !== row.kind) row.element.className = row.kind;
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
  setAttributes(row.path, {d: pathOf(row.history, SPARK, 17, Math.max(...row.history, 1e-9) * 1.1)});
  drawStrip(row);
}

// A standby's offset shows another producer's progress.
const advance = (from, to) => [from, to].some(({state}) => state === "standby") ? 0 : Math.max(0, to.offset - from.offset);

function showLinks(now) {
  const links = new Map([...now.links, ...found?.links ?? []].map(link => [keyOf(now.role, link), link]));
  const elapsed = before ? now.time - before.time : 0;
  for (const [key, link] of links) {
    let row = rows.get(key);
    if (!row) rows.set(key, row = makeRow(link));
    else if (elapsed > 0) row.history = [...row.history, (advance(row.link, link) / elapsed + (row.history.at(-1) ?? link.rate)) / 2].slice(-SPARK);
    row.link = link;
    row.key = key;
    row.kind = kindOf(link.state);
    row.word = wordOf(now.role, link);
    remember(row, link.interruptions);
  }
  for (const [key, row] of rows) if (!links.has(key)) { if (chosen?.row === row) choose(null, null); rows.delete(key); }
  arrange(now);
  drawAxis();
  sayInterruptions();
  recall();
}

function arrange(now) {
  for (const row of rows.values()) {
    row.isRecent = isRecent(row);
    row.cell.className = `${row.kind}${row.isRecent ? " recent" : ""}`;
    row.cell.title = `${nameOf(row.link)}: ${row.word}${row.isRecent ? `, interrupted in the last ${span.text}` : ""}`;
  }
  const shown = [...rows.values()].filter(isInView).sort(byView);
  showRows(shown);
  countStates(now);
  const field = byId("field"), cells = [...rows.values()].sort(byName).map(({cell}) => cell);
  field.hidden = rows.size < FIELD_FROM;
  if (field.children.length !== cells.length || cells.some((cell, i) => field.children[i] !== cell)) field.replaceChildren(...cells);
  byId("field-note").hidden = field.hidden || !now.left_out;
  setText(byId("field-note"), `${whole.format(cells.length)} of ${whole.format(now.totals.links)} streams, by name; those in trouble are among them.`);
  const note = byId("note");
  note.hidden = shown.length > 0 && !now.left_out;
  setText(note, shown.length ? `${whole.format(shown.length)} of ${whole.format(now.totals.links)} streams are shown, the first of all in this order; the filter and the states search all of them.`
    : !rows.size && !isChosen() ? "No streams yet." : `No stream ${[view.text && `is called “${view.text}”`, view.state && `is ${view.state}`].filter(Boolean).join(" and ")}.`);
}
