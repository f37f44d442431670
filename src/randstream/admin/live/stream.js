"use strict";
// Stream: the page of one stream, at `#/streams/NAME`: its history, its interruptions, who serves it, its settings.
const POLL_MS = 2000;
const CHART = {left: 56, top: 10, bottom: 100, high: 120, narrow: 420};  // pixels
const weekdayMinuteClock = new Intl.DateTimeFormat(undefined, {weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23"});
const PASTS = {
  minutes: {seconds: 7200, tick: 1800, text: "two hours", each: "minute", clock: minuteClock},
  hours: {seconds: 172800, tick: 43200, text: "two days", each: "hour", clock: weekdayMinuteClock},
};
const CHARTS = {
  rate: {title: "Rate", unit: "numbers a second", text: value => rateText(about(value)), least: 1},
  lag: {title: "Lag", unit: "numbers not acknowledged", text: value => rateText(about(value)), least: 1},
  round_trip: {title: "Round trip", unit: "from a beat to its ack", text: value => value ? secondsText(about(value)) : "0", least: 0.001},
};

const [overview, streamPage] = document.getElementsByTagName("main");
let opened = null, told = null, turn = 0, past = "minutes", moment = null, chartWidth = 0;

const streamOf = ({state, worker, peer}) => (state === "resting" ? peer : worker) ?? peer ?? "";
const addressOf = link => `#/streams/${encodeURIComponent(streamOf(link))}`;

function nameInAddress() {
  const name = /^#\/streams\/(.+)$/.exec(location.hash)?.[1] ?? null;
  try { return name && decodeURIComponent(name); } catch { return name; }
}

function route() {
  const before = opened;
  opened = nameInAddress();
  overview.hidden = opened !== null;
  streamPage.hidden = opened === null;
  if (opened === before) return;
  told = moment = null;
  turn += 1;
  if (opened === null) return goTo([...rows.values()].find(({link}) => streamOf(link) === before));
  sayStream("", opened, "…");
  scrollTo(0, 0);
  byId("stream-title").focus({preventScroll: true});
  poll(turn);
}

// Goes on until another page is opened, which begins another turn.
async function poll(mine) {
  try {
    const answer = await fetch(`api/stream?${new URLSearchParams({name: opened})}`);
    const body = await (answer.ok ? answer.json() : answer.text());
    if (turn !== mine) return;
    told = answer.ok ? body : null;
    if (told) showStream();
    else if (answer.status === 404) sayStream("silent", `No stream is called “${opened}”`, "It has left, or this process has no link to it.");
    else sayStream("silent", opened, body.trim());
  } catch {
    if (turn !== mine) return;
    setText(byId("stream-sub"), told ? `no answer since ${clockText(told.time)}; everything below is from then` : "no answer yet");
    byId("stream-sub").className = "sub warn";
  }
  if (opened !== null) setTimeout(() => { if (turn === mine) poll(mine); }, POLL_MS);
}

// While there is nothing to show below, only the way back is.
function sayStream(kind, title, text) {
  byId("stream-title").className = kind;
  setText(byId("stream-title").lastElementChild, title);
  setText(byId("stream-sub"), text);
  byId("stream-sub").className = `sub ${kind === "silent" ? "warn" : ""}`;
  streamPage.classList.toggle("is-blank", !told);
  sayTitle();
}

const sayTitle = () => { if (opened !== null) document.title = `${byId("stream-title").textContent} · randstream`; };

function showStream() {
  const {link, role, time, uptime, events} = told, {count, longest, total, availability, current, last} = link.interruptions;
  timeNow = time;
  const isWorker = role === "worker", all = count + (current ? 1 : 0);
  sayStream(kindOf(link.state), streamOf(link), [wordOf(role, link), whyOf(link)[0]].filter(Boolean).join(" · "));
  showPairs("stream-figures", {
    "numbers/s": isWell(link) ? rateText(link.rate) : "–", offset: countText(link.offset), [isWorker ? "not in the sink" : "not acknowledged"]: countText(link.offset - link.acked_offset),
    ...(!isWorker && {"round trip": secondsText(link.state === "streaming" ? link.round_trip : null)}), [isWorker ? "last beat" : "last ack"]: secondsText(link.silence),
    reconnects: whole.format(link.reconnects), availability: shareText(availability),
  });
  showPairs("stream-settings", {
    [role]: told.name, [isWorker ? "producer" : "target"]: link.peer ?? "–", stream: link.stream ?? "–", numbers: told.numbers ?? "–",
    ...(!isWorker && {rate: told.rate === "max" ? "as fast as it goes" : `${rateText(told.rate)} a second`}), heartbeat: secondsText(told.heartbeat),
  });
  setText(byId("stream-error"), link.error ?? "None.");
  setText(byId("stream-counts"), all ? `${whole.format(all)} since ${momentText(time - uptime, time)}, ${lengthText(total)} in all, the longest ${lengthText(longest)}.`
    : `None since ${momentText(time - uptime, time)}, when this process started.`);
  showItems("stream-past", (current ? [...last, current] : last).toReversed().map(one => {
    const [head, text] = tellMark({of: [one], goesOn: one === current});
    return [momentText(one.start, time), "", head, text, {lost: "bad", paused: "warn"}[FAMILY[one.cause] ?? "lost"]];
  }));
  showItems("stream-events", events.toReversed().map(({time: at, event, detail}) => [momentText(at, time), "", wordOfEvent(event), detail, MOOD[event]]));
  drawMembers(byId("stream-members"), link);
  byId("stream-line").hidden = !byId("stream-members").children.length;
  setAttributes(byId("stream-json"), {href: `api/links?${new URLSearchParams({filter: streamOf(link), interruptions: KEPT})}`});
  byId("stream-numbers").hidden = !isWorker;
  drawCharts();
}

function showPairs(id, pairs) {
  const list = byId(id), names = Object.keys(pairs);
  if (list.children.length !== names.length) {
    list.replaceChildren(...names.map(() => document.createElement("div")));
    for (const pair of list.children) pair.append(document.createElement("dt"), document.createElement("dd"));
  }
  names.forEach((name, i) => { setText(list.children[i].firstChild, name); setText(list.children[i].lastChild, pairs[name]); });
}

function showItems(id, items) {
  const list = byId(id), shown = JSON.stringify(items);
  list.parentElement.classList.toggle("has-none", !items.length);
  if (list.shown !== shown) list.replaceChildren(...items.map(item => makeItem(...item)));
  list.shown = shown;
}

const roundUp = value => {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find(factor => factor * power >= value * 0.999) * power;
};
const meanOf = values => values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;

function drawCharts() {
  const course = told?.history?.[past], length = course?.rate.mean.length ?? 0;
  byId("charts").hidden = byId("moment").hidden = !length;
  if (!length || !chartWidth) return;
  const at = moment === null ? length - 1 : Math.max(0, Math.min(Math.round((moment - course.start) / course.step), length - 1));
  for (const figure of byId("charts").children) drawChart(figure, course, at);
  const text = momentAt(course, at);
  setText(byId("moment"), text);
  setAttributes(byId("moment"), {"aria-valuemax": length, "aria-valuenow": at + 1, "aria-valuetext": text, "aria-label": `History, each ${PASTS[past].each} of the last ${PASTS[past].text}`});
}

function momentAt(course, at) {
  const values = Object.entries(CHARTS).filter(([key]) => course[key].mean[at] !== null)
    .map(([key, {title, text}]) => `${title.toLowerCase()} ${text(course[key].mean[at])}, highest ${text(course[key].highest[at])}`);
  const end = at === course.rate.mean.length - 1 ? "now" : PASTS[past].clock.format((course.start + (at + 1) * course.step) * 1000);
  return [`${PASTS[past].clock.format((course.start + at * course.step) * 1000)} to ${end}`, ...values].join(" · ");
}

function drawChart(figure, course, at) {
  const {title, unit, text, least} = CHARTS[figure.dataset.of], {mean, highest} = course[figure.dataset.of], {seconds, tick, text: spanText, clock} = PASTS[past];
  const known = mean.filter(value => value !== null), most = Math.max(...highest), from = told.time - seconds;
  figure.hidden = !known.length;
  const scale = roundUp(Math.max(most, least)), svg = figure.lastElementChild;
  const xOf = time => CHART.left + Math.min(1, Math.max(0, (time - from) / seconds)) * (chartWidth - CHART.left);
  const yOf = value => CHART.bottom - (CHART.bottom - CHART.top) * value / scale;
  const startOf = i => xOf(course.start + i * course.step);
  const make = (name, values, content = "") => {
    const node = document.createElementNS(svg.namespaceURI, name);
    setAttributes(node, values);
    node.textContent = content;
    return node;
  };
  const box = one => {
    const left = Math.min(xOf(one.start), chartWidth - LEAST), right = Math.max(xOf(endOf(one)), left + LEAST);
    return `M${left.toFixed(1)} ${CHART.top}V${CHART.bottom}H${right.toFixed(1)}V${CHART.top}Z`;
  };
  const {last, current} = told.link.interruptions, marks = (current ? [...last, current] : last).filter(one => endOf(one) > from);
  const times = roundTimes(from, told.time, chartWidth < CHART.narrow ? 2 * tick : tick).filter(time => xOf(time) > CHART.left + 24 && xOf(time) < chartWidth - 24);
  svg.setAttribute("viewBox", `0 0 ${chartWidth} ${CHART.high}`);
  svg.replaceChildren(
    ...Object.keys(FAMILIES).map(family => make("path", {class: family, d: marks.filter(one => (FAMILY[one.cause] ?? "lost") === family).map(box).join("")})),
    ...[0, scale / 2, scale].flatMap(value => [
      make("path", {class: "grid", d: `M${CHART.left} ${yOf(value)}H${chartWidth}`}),
      make("text", {x: CHART.left - 8, y: yOf(value) + 4, class: "amount"}, text(value)),
    ]),
    ...times.flatMap(time => [
      make("path", {class: "grid", d: `M${xOf(time).toFixed(1)} ${CHART.bottom}v4`}),
      make("text", {x: xOf(time).toFixed(1), y: CHART.high - 4, class: "time"}, clock.format(time * 1000)),
    ]),
    make("path", {class: "area", d: stepsOf(highest, startOf, yOf, CHART.bottom)}),
    make("path", {class: "edge", d: stepsOf(mean, startOf, yOf)}),
    make("path", {class: "choice", d: moment === null ? "" : `M${((startOf(at) + startOf(at + 1)) / 2).toFixed(1)} ${CHART.top}V${CHART.bottom}`}),
  );
  const summary = known.length ? `mean ${text(meanOf(known))}, highest ${text(most)}` : "not known yet", [head, more] = figure.firstElementChild.children;
  setText(head, title);
  setText(more, `${unit} · ${summary}`);
  setAttributes(svg, {"aria-label": `${title} over the last ${spanText}, ${unit}: ${summary}`});
}

// A step for each value, with a gap for what is not known; closed along `base`, if there is one.
function stepsOf(values, startOf, yOf, base) {
  let path = "", isOpen = false;
  values.forEach((value, i) => {
    const [left, right] = [startOf(i), startOf(i + 1)].map(x => x.toFixed(1));
    if (value === null) { isOpen = false; return; }
    path += isOpen ? `V${yOf(value).toFixed(1)}` : `M${left} ${(base ?? yOf(value)).toFixed(1)}V${yOf(value).toFixed(1)}`;
    path += `H${right}`;
    isOpen = true;
    if (base !== undefined && (values[i + 1] ?? null) === null) path += `V${base}Z`;
  });
  return path;
}

function chooseMoment(at) {
  const course = told?.history?.[past];
  moment = course && at >= 0 && at < course.rate.mean.length ? course.start + at * course.step : null;
  drawCharts();
}

function stepMoment(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const [now, last] = ["aria-valuenow", "aria-valuemax"].map(name => Number(byId("moment").getAttribute(name)) - 1);
  const next = {ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: last}[event.key];
  if (next !== undefined) { event.preventDefault(); chooseMoment(Math.max(0, Math.min(next, last))); }
}

function pointAtMoment({clientX}) {
  const course = told?.history?.[past], {seconds} = PASTS[past], x = clientX - byId("charts").getBoundingClientRect().left - CHART.left;
  if (course) chooseMoment(x < 0 ? -1 : Math.floor((told.time - seconds + x * seconds / (chartWidth - CHART.left) - course.start) / course.step));
}

function watchStream() {
  byId("pasts").addEventListener("change", ({target}) => { past = target.value; moment = null; drawCharts(); });
  byId("charts").addEventListener("pointermove", pointAtMoment);
  byId("charts").addEventListener("pointerdown", pointAtMoment);
  byId("charts").addEventListener("pointerleave", ({pointerType}) => { if (pointerType !== "touch") chooseMoment(-1); });
  byId("moment").addEventListener("keydown", stepMoment);
  byId("moment").addEventListener("blur", () => chooseMoment(-1));
  document.addEventListener("keydown", ({key}) => { if (key === "Escape" && opened !== null) location.hash = "#/"; });
  new ResizeObserver(([{contentRect}]) => { chartWidth = contentRect.width; drawCharts(); }).observe(byId("charts").parentElement);
  addEventListener("hashchange", route);
  route();
}
