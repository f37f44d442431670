"use strict";
// Finding: what is wrong, where, since when and why: the headline. Its shape and colour are those of the rows, the counts come below it.
const KINDS = ["streaming", "standby", "resting", "stalled", "finished"];
const kindOf = state => KINDS.includes(state) ? state : "down";
const isWell = ({state}) => !["down", "stalled"].includes(kindOf(state));
const wordOf = (role, link) => isWell(link) || link.state === "stalled" ? link.state
  : role === "worker" ? "without a producer" : link.reason ? "unreachable" : "connecting";
const ICONS = {
  streaming: "%3Ccircle cx='8' cy='8' r='6' fill='%232a9484'/%3E",
  stalled: "%3Crect x='2' y='2' width='12' height='12' fill='%23c98a1b'/%3E",
  down: "%3Ccircle cx='8' cy='8' r='5.5' fill='none' stroke='%23bd3a2c' stroke-width='4'/%3E",
  silent: "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%238a9099' stroke-width='3' stroke-dasharray='3'/%3E",
};

function countFlowing({links, states}) {
  const {streaming: flowing = 0, standby = 0, resting = 0} = states, trouble = links - flowing - standby - resting;
  const shares = [[flowing, "served here"], [standby, "standing by"], [resting, "resting"], [trouble, "not flowing"]]
    .filter(([count], i) => count || !i).map(([count, word]) => `${whole.format(count)} ${word}`);
  return !links ? "No streams" : standby + resting ? `${plural(links, "stream")}: ${shares.join(", ")}`
    : flowing === links ? (links === 1 ? "The stream flows" : `All ${whole.format(links)} streams flow`)
    : flowing ? `${whole.format(flowing)} of ${whole.format(links)} streams flow`
    : links === 1 ? "The stream does not flow" : `None of ${whole.format(links)} streams flows`;
}

// Those that are down before those that stand still, and then those that have been so for longest.
const inTrouble = ({links, time}) => links.filter(link => !isWell(link))
  .sort((a, b) => (a.state === "stalled") - (b.state === "stalled") || (a.since ?? time) - (b.since ?? time));

// Of several, those that are so for one reason are one finding.
function sayTrouble([worst, ...others], count, {role, time, totals}) {
  const {reason, since} = worst, word = wordOf(role, worst), more = count - 1, why = reason ? `: ${reason}` : "";
  const areAlike = more > 0 && others.length === more && others.every(link => wordOf(role, link) === word && link.reason === reason);
  const name = !areAlike ? nameOf(worst) : count === totals.links ? `All ${plural(count, "stream")}` : `${nameOf(worst)} and ${whole.format(more)} more`;
  const rest = more && !areAlike ? `${why}; ${whole.format(more)} more ${more === 1 ? "does" : "do"} not flow` : why;
  const said = `${name} ${areAlike ? "are" : "is"} ${word}${rest}`;
  sayFinding(kindOf(worst.state), since === null ? said : `${name} ${areAlike ? "have" : "has"} been ${word} for ${spanText(time - since)}${rest}`, said);
}

// Standing by, but with a stream other than the worker's: when the other producer dies, this one cannot go on.
function strangeOf(links) {
  const [first, ...more] = links.filter(({state, reason}) => state === "standby" && reason);
  if (!first || !more.length) return first && `${nameOf(first)}: ${first.reason}`;
  return `${whole.format(more.length + 1)} workers are served a stream other than this producer's: do all producers have the same seed and numbers?`;
}

function sayHeadline(now) {
  const {links, states} = now.totals, {stalled = 0, finished = 0, waiting = 0, dialling = 0, opening = 0} = states;
  const down = waiting + dialling + opening, troubled = inTrouble(now), [worst] = troubled, counts = countFlowing(now.totals);
  const warnings = [now.warning, strangeOf(now.links)].filter(Boolean);
  const words = [[down, "down"], [stalled, "stalled"], [finished, "finished"]]
    .filter(([count]) => count).map(([count, word]) => `${whole.format(count)} ${word}`);
  if (worst) sayTrouble(troubled, down + stalled, now);
  else if (now.problem) sayFinding("down", `Not ready: ${now.problem}`);
  else if (warnings.length) sayFinding("stalled", warnings.shift());
  else sayFinding("streaming", counts);
  const problem = worst && now.problem && (now.problem === worst.reason ? "not ready" : `not ready: ${now.problem}`);
  setText(byId("sub"), [byId("headline").className !== "streaming" && counts, problem, ...warnings, ...words].filter(Boolean).join(" · ") || "all is well");
  byId("sub").className = `sub ${warnings.length ? "warn" : ""}`;
  const silent = down + stalled + finished;
  document.title = `${silent ? `${whole.format(silent)} not flowing` : plural(links, "stream")} · randstream`;
}

function saySilence(name, seconds, sub) {
  sayFinding("silent", `No word from ${name} for ${spanText(seconds)}`, `No word from ${name}`);
  setText(byId("sub"), sub);
  byId("sub").className = "sub warn";
  document.title = `no word from ${name} · randstream`;
}

// `said` is read out by screen readers when it changes, and holds nothing that changes every second.
function sayFinding(kind, text, said = text) {
  byId("headline").className = kind;
  setText(byId("finding"), text.replace(/(\d|min|h) (?=\d|s\b|min\b|h\b)/g, "$1\u00a0"));
  setText(byId("said"), said);
  const icon = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${ICONS[kind]}%3C/svg%3E`;
  const link = document.querySelector("link[rel=icon]");
  if (link.href !== icon) link.href = icon;
}
