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
const worstOf = ({links, time}) => links.filter(link => !isWell(link))
  .sort((a, b) => (a.state === "stalled") - (b.state === "stalled") || (a.since ?? time) - (b.since ?? time))[0];

function sayTrouble(worst, more, {role, time}) {
  const name = nameOf(worst), {reason, since} = worst, word = wordOf(role, worst);
  const rest = `${reason ? `: ${reason}` : ""}${more ? `; ${whole.format(more)} more ${more === 1 ? "does" : "do"} not flow` : ""}`;
  const said = `${name} is ${word}${rest}`;
  sayFinding(kindOf(worst.state), since === null ? said : `${name} has been ${word} for ${spanText(time - since)}${rest}`, said);
}

function sayHeadline(now) {
  const {links, states} = now.totals, {stalled = 0, finished = 0, waiting = 0, dialling = 0, opening = 0} = states;
  const down = waiting + dialling + opening, worst = worstOf(now), counts = countFlowing(now.totals);
  const strange = now.links.filter(({state, error}) => state === "standby" && error).length;
  const warnings = [now.warning, strange && `${whole.format(strange)} standing by with a stream other than the worker's`].filter(Boolean);
  const words = [[down, "not connected"], [stalled, "stalled"], [finished, "finished"]]
    .filter(([count]) => count).map(([count, word]) => `${whole.format(count)} ${word}`);
  if (worst) sayTrouble(worst, down + stalled - 1, now);
  else if (now.problem) sayFinding("down", `Not ready: ${now.problem}`);
  else sayFinding(warnings.length ? "stalled" : "streaming", counts);
  const problem = worst && now.problem && (now.problem === worst.reason ? "not ready" : `not ready: ${now.problem}`);
  setText(byId("sub"), [(worst || now.problem) && counts, problem, ...warnings, ...words].filter(Boolean).join(" · ") || "all is well");
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
  setText(byId("finding"), text);
  setText(byId("said"), said);
  const icon = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${ICONS[kind]}%3C/svg%3E`;
  const link = document.querySelector("link[rel=icon]");
  if (link.href !== icon) link.href = icon;
}
