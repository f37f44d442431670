"use strict";
// Page: the process as a whole, and the connection to it.
const RIVER = 120, STALE_MS = 3500, MOST_ROWS = 1000;
let before = null, heardAt = performance.now(), eventsShown = "", source = null, found = null, refusal = "";

function showTotals(now) {
  const {totals, role} = now, isWorker = role === "worker";
  setText(byId("who"), `${role} ${now.name}  ·  ${now.numbers ?? "no stream yet"}  ·  version ${now.version}, up ${secondsText(now.uptime)}`);
  setText(byId("rate-label"), "now");
  setText(byId("rate"), rateText(totals.rate));
  setText(byId("moved-label"), isWorker ? "received" : "sent");
  setText(byId("acked-label"), isWorker ? "in the sink" : "acknowledged");
  setText(byId("of-silence").firstElementChild, isWorker ? "last beat" : "last ack");
  setText(byId("moved"), countText(totals.numbers));
  setText(byId("acked"), countText(totals.acked_numbers));
  setText(byId("bytes"), bytesText(totals.number_bytes));
  setText(byId("reconnects"), whole.format(totals.reconnects));
  const river = now.history, line = pathOf(river, RIVER, 100, Math.max(...river, 1) * 1.15);
  const [, area, edge] = byId("river").children;
  edge.setAttribute("d", line);
  area.setAttribute("d", line && `${line}L${RIVER - 1} 100L${RIVER - river.length} 100Z`);
}

function showLine({role, links, totals}) {
  const [link] = links, isShown = role === "worker" && totals.links === 1 && link && (link.served_by || link.standbys.length > 0);
  byId("line").hidden = !isShown;
  if (isShown) drawMembers(byId("members"), link);
}

function drawMembers(items, link) {
  const members = link.standbys.map(({producer, stream, seconds}) =>
    ({kind: "standby", producer, told: `${stream === link.stream ? "" : "another stream, "}waiting for ${secondsText(seconds)}`}));
  if (link.served_by) members.unshift({kind: "streaming", producer: link.served_by, told: link.served_for === null ? "beginning to serve" : `serving for ${secondsText(link.served_for)}`});
  while (items.children.length > members.length) items.lastChild.remove();
  while (items.children.length < members.length) items.append(byId("member").content.firstElementChild.cloneNode(true));
  members.forEach(({kind, producer, told}, i) => {
    const [name, state] = items.children[i].children;
    items.children[i].className = kind;
    setText(name.lastElementChild, producer);
    setText(state, told);
  });
}

function showShape({histogram, numbers}) {
  byId("shape").parentElement.hidden = !histogram;
  if (!histogram) return;
  const {edges, expected, counts} = histogram, sum = counts.reduce((a, b) => a + b, 0);
  const last = edges.at(-1) - (/^(integers|bernoulli|poisson):/.test(numbers) ? 1 : 0);  // their last bin ends after the last value
  const shares = counts.map(count => count / Math.max(1, sum)), most = Math.max(...expected, ...shares) * 1.15, width = 100 / counts.length;
  const [bars, noise, promise] = byId("shape").children;
  while (bars.children.length > counts.length) bars.lastChild.remove();
  while (bars.children.length < counts.length) bars.append(document.createElementNS(bars.namespaceURI, "rect"));
  shares.forEach((share, i) => {
    const place = {class: "bar", x: i * width + width * .08, width: width * .84, y: 100 - 100 * share / most, height: 100 * share / most};
    for (const [name, value] of Object.entries(place)) bars.children[i].setAttribute(name, value);
  });
  const spread = expected.map(share => 2 * Math.sqrt(share * (1 - share) / Math.max(1, sum)));  // two standard deviations
  const edgeOf = sign => expected.map((share, i) => [i * width, 100 - 100 * Math.max(0, share + sign * spread[i]) / most, width]);
  noise.setAttribute("d", sum ? `${edgeOf(1).map(([x, y, w], i) => `${i ? "L" : "M"}${x} ${y}H${x + w}`).join("")}${edgeOf(-1).reverse().map(([x, y, w]) => `L${x + w} ${y}H${x}`).join("")}Z` : "");
  promise.setAttribute("d", expected.map((share, i) => `${i ? "L" : "M"}${i * width} ${100 - 100 * share / most}H${(i + 1) * width}`).join(""));
  setText(byId("least"), valueText(edges[0]));
  setText(byId("middle"), edges.length > 2 ? valueText((edges[0] + last) / 2) : "");
  setText(byId("most"), edges.length > 2 ? valueText(last) : "");
  setText(byId("sampled"), `${whole.format(sum)} sampled`);
}

const MOOD = {"link.lost": "bad", "link.unreachable": "bad", "sink.failing": "bad", "link.refused": "bad", "link.stalled": "warn", "link.other_stream": "warn", "link.resumed": "good", "link.recovered": "good"};
function showEvents({events}) {
  const named = events.filter(({link}) => isNamed(link)), last = JSON.stringify(named.at(-1) ?? null) + events.length + view.text;
  if (last === eventsShown) return;
  eventsShown = last;
  byId("events").replaceChildren(...named.toReversed().map(({time, event, link, detail}) => makeItem(clockText(time), link, wordOfEvent(event), detail, MOOD[event])));
  setText(byId("events-note"), !events.length ? "None yet." : !view.text ? "" : named.length ? `Only those of “${view.text}”.` : `None of “${view.text}” among the last ${events.length}.`);
}

const wordOfEvent = event => event.split(".").at(-1).replaceAll("_", " ");

function makeItem(...[at, stream, word, text, mood = ""]) {
  const item = document.createElement("li"), head = document.createElement("span");
  const [time, name, told, more] = [[at, "time"], [stream, "a"], [word, "em"], [text, "p"]].map(([content, tag]) => {
    const element = document.createElement(tag);
    element.textContent = content;
    return element;
  });
  item.className = mood;
  if (stream) { setAttributes(name, {href: `#/streams/${encodeURIComponent(stream)}`}); head.append(name, " "); }
  head.append(told);
  item.append(time, head, more);
  return item;
}

function show(now) {
  if (before && now.time - now.uptime > startedAt + 1) { before = null; rows.forEach(row => Object.assign(row, {history: [], past: [], counted: 0})); }
  document.documentElement.classList.remove("is-empty");
  timeNow = now.time;
  startedAt = now.time - now.uptime;
  byId("numbers-link").hidden = now.role !== "worker";
  sayHeadline(now); showTotals(now); showLinks(now); showLine(now); showShape(now); showEvents(now); sayTitle();
  before = now;
}

const ask = async parameters => (await fetch(`api/links?${new URLSearchParams(parameters)}`)).json();

async function lookFurther(now) {  // events hold only the first thousand links, trouble first
  const asked = JSON.stringify(view);
  try {
    const answer = now.left_out && isChosen() ? await ask({limit: MOST_ROWS, interruptions: 3, ...askedOfServer()}) : null;
    if (asked === JSON.stringify(view)) found = answer;
  } catch { found = null; }
}

function connect() {
  source = new EventSource("events");
  source.onmessage = ({data}) => {
    heardAt = performance.now();
    refusal = "";
    const now = JSON.parse(data);
    show(now);
    sayPulse();
    lookFurther(now);
  };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) { askWhy(); setTimeout(connect, 2000); } };
}

async function askWhy() {  // a refused EventSource does not say why
  const asking = new AbortController();
  try {
    const answer = await fetch("events", {signal: asking.signal}), isOurs = answer.headers.get("Content-Type")?.startsWith("text/plain");
    refusal = answer.ok ? "" : isOurs ? (await answer.text()).trim() : `${answer.status} ${answer.statusText}`.trim();
  } catch { refusal = ""; }
  asking.abort();
  sayPulse();
}

function sayPulse() {
  const silence = performance.now() - heardAt, isStale = silence > STALE_MS;
  byId("pulse").classList.toggle("stale", isStale || !before);
  document.documentElement.classList.toggle("is-stale", isStale && before !== null);
  setText(byId("pulse"), !isStale && before ? "live" : before ? "stale, trying again" : "connecting");
  if (!before && refusal) {
    sayFinding("silent", "Nothing to show");
    setText(byId("sub"), refusal);
  } else if (isStale) {
    const then = before && `at ${clockText(before.time)}`;
    saySilence(before?.name ?? location.host, silence / 1000, [refusal, then && `everything below is as it was ${then}`].filter(Boolean).join(" · "));
    if (then) { setText(byId("rate-label"), then); drawAxis(true); }
  }
}

watchView();
watchTable();
watchStrips();
watchStream();
setInterval(sayPulse, 1000);
connect();
