"use strict";
// Table: of the rows that are shown, only those near the window are in the document; a space above and one below stand for the others.
const MARGIN = 800;  // pixels beyond the window: what is scrolled into before the next event of the browser's
const drawn = new Set();
let shown = [], usualHeight = 64;

const heightOf = row => row.height || usualHeight;
const heightsOf = rows => rows.reduce((sum, row) => sum + heightOf(row), 0);

function showRows(rows) {
  shown = rows;
  drawn.clear();
  drawTable();
}

function drawTable() {
  const table = byId("streams");
  let y = table.getBoundingClientRect().top + table.tHead.offsetHeight, first = 0;
  while (first < shown.length && y + heightOf(shown[first]) < -MARGIN) y += heightOf(shown[first++]);
  let last = first;
  while (last < shown.length && y < innerHeight + MARGIN) y += heightOf(shown[last++]);
  const near = shown.slice(first, last), [above, below] = table.spaces ??= [makeSpace(), makeSpace()];
  near.forEach((row, i) => {
    row.element ??= makeElement(row);
    [...row.element.rows].forEach((line, j) => setAttributes(line, {"aria-rowindex": 3 + 3 * (first + i) + j}));
    if (!drawn.has(row)) draw(row);
  });
  drawn.clear();
  near.forEach(row => drawn.add(row));
  setAttributes(table, {"aria-rowcount": 2 + 3 * shown.length});
  place(table, [...setSpace(above, shown.slice(0, first)), ...near.map(({element}) => element), ...setSpace(below, shown.slice(last))]);
  for (const row of near) row.height = row.element.offsetHeight;
  if (near.length) usualHeight = heightsOf(near) / near.length || usualHeight;
}

function makeSpace() {
  const space = document.createElement("tbody");
  space.className = "space";
  space.append(document.createElement("tr"));
  space.ariaHidden = true;
  return space;
}

function setSpace(space, rows) {
  space.firstElementChild.style.height = `${heightsOf(rows)}px`;
  return rows.length ? [space] : [];
}

// What stays keeps its place, so that the browser holds the view still; what has to move keeps the focus.
function place(table, bodies) {
  const focused = document.activeElement, choice = chosen, wanted = new Set(bodies);
  for (const body of [...table.tBodies]) if (!wanted.has(body)) body.remove();
  bodies.forEach((body, i) => { if (table.tBodies[i] !== body) table.insertBefore(body, table.tBodies[i] ?? null); });
  if (focused !== document.activeElement && table.contains(focused)) { focused.focus({preventScroll: true}); chosen = choice; }
}

// Into view, and then into the focus; if it is there at all.
function goTo(row) {
  const at = shown.indexOf(row);
  if (at < 0) return;
  if (!row.element?.isConnected) {
    scrollTo(0, scrollY + byId("streams").getBoundingClientRect().top + heightsOf(shown.slice(0, at)) - innerHeight / 3);
    drawTable();
  }
  row.name.focus();
}

function watchTable() {
  addEventListener("scroll", () => { drawTable(); recall(); }, {passive: true});
  addEventListener("resize", () => { for (const row of rows.values()) row.height = 0; drawTable(); });
}
