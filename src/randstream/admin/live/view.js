"use strict";
// View: which streams the table shows, and in which order; kept in the address, so that it can be sent to others.
const STATES_OF = {down: "waiting,dialling,opening"};  // what the server calls them; the other kinds have the same names
const about = value => Number(value.toPrecision(3));  // what differs by less would change places every second
const FIGURES = {  // null: not known, or not true now
  rate: link => isWell(link) ? about(link.rate) : null, offset: ({offset}) => offset, "round-trip": link => link.state === "streaming" && link.round_trip !== null ? about(link.round_trip) : null,
  silence: ({silence}) => silence, reconnects: ({reconnects}) => reconnects, interrupted: ({interruptions: {count, current}}) => count + (current ? 1 : 0),
  longest: ({interruptions: {longest}}) => longest, total: ({interruptions: {total}}) => total, availability: ({interruptions: {availability}}) => availability,
};
const view = {text: "", state: "", sort: ""};  // sort: "" (trouble first), "name" or a figure; with "-" before it, the other way round

const collator = new Intl.Collator(undefined, {numeric: true});
const byName = (a, b) => collator.compare(a.link.worker ?? a.key, b.link.worker ?? b.key);

const sortedBy = () => view.sort.replace(/^-/, "");

function byView(a, b) {
  const name = sortedBy(), sign = name === view.sort ? 1 : -1;
  if (!name) return rankOf(a) - rankOf(b) || byName(a, b);
  if (name === "name") return sign * byName(a, b);
  const [x, y] = [a, b].map(({link}) => FIGURES[name](link));
  return (x === null) - (y === null) || sign * (y - x) || byName(a, b);
}

const isNamed = (...names) => names.join(" ").toLowerCase().includes(view.text.toLowerCase());
const isInView = ({kind, link}) => (!view.state || kind === view.state) && isNamed(link.worker ?? "", link.peer ?? "");
const isChosen = () => Object.values(view).some(Boolean);
const askedOfServer = () => ({filter: view.text, state: STATES_OF[view.state] ?? view.state, sort: view.sort});

const inAddress = name => new URL(location.href).searchParams.get(name) ?? "";
function keepInAddress(name, value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
  history.replaceState(null, "", url);
}

const headers = () => [...byId("streams").tHead.querySelectorAll("[data-sort]")];
const stateChoices = () => [...byId("states").querySelectorAll("input")];

function look({text = view.text, state = view.state, sort = view.sort}) {
  Object.assign(view, {text: text.trim(), state, sort});
  for (const [name, value] of [["filter", view.text], ["state", state], ["sort", sort]]) keepInAddress(name, value);
  showView();
  if (before) { arrange(before); showEvents(before); lookFurther(before); }
}

function showView() {
  for (const choice of stateChoices()) choice.checked = choice.value === view.state;
  for (const button of headers()) {
    const {sort} = button.dataset, isUp = (view.sort === `-${sort}`) !== (sort === "name");
    button.parentElement.ariaSort = sortedBy() !== sort ? null : isUp ? "ascending" : "descending";
  }
}

function countStates({totals: {links, states}}) {
  const counts = {"": links};
  for (const [state, count] of Object.entries(states)) counts[kindOf(state)] = (counts[kindOf(state)] ?? 0) + count;
  for (const {value, parentElement, nextElementSibling} of stateChoices()) {
    parentElement.hidden = value !== "" && value !== view.state && !counts[value];
    setText(nextElementSibling.lastElementChild, whole.format(counts[value] ?? 0));
  }
}

// Once by a column, again the other way round, a third time as at first.
const sortBy = name => look({sort: view.sort === name ? `-${name}` : view.sort === `-${name}` ? "" : name});

function watchView() {
  const [state, sort] = [inAddress("state"), inAddress("sort")], filter = byId("filter");
  view.text = filter.value = inAddress("filter").trim();
  if (stateChoices().some(({value}) => value === state)) view.state = state;
  if (headers().some(({dataset}) => dataset.sort === sort.replace(/^-/, ""))) view.sort = sort;
  showView();
  filter.addEventListener("input", () => look({text: filter.value}));
  byId("states").addEventListener("change", ({target}) => look({state: target.value}));
  byId("streams").tHead.addEventListener("click", ({target}) => { const {sort} = target.dataset; if (sort) sortBy(sort); });
  document.addEventListener("keydown", event => {
    if (event.key === "/" && document.activeElement !== filter && !overview.hidden) { event.preventDefault(); filter.focus(); }
    if (event.key === "Escape" && document.activeElement === filter) { filter.value = ""; filter.blur(); look({text: ""}); }
  });
}
