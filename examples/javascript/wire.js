// What both ends share: lines, checksums, ranks, distributions, deadlines. Names after // are rules of docs/protocol.md.
'use strict';
const blake2b = require('./blake2b');

const MAX_OFFSET = 2n ** 63n - 1n, NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const OFFSET = /^(0|[1-9][0-9]{0,18})$/, HEX16 = /^[0-9a-f]{16}$/, HEX8 = /^[0-9a-f]{8}$/, T = /^[0-9]{1,20}$/;
const WORD = /^[a-z][a-z-]{0,31}$/, HEARTBEAT = /^[0-9]{1,2}(\.[0-9]{1,3})?$/;
const GRAMMAR = { // of each verb the keys that are required, and those that are not
  '#hello': [{ worker: NAME }, {}],
  '#open': [{ worker: NAME, producer: NAME, stream: HEX16, numbers: /./, heartbeat: HEARTBEAT, check: HEX8 }, { instance: HEX16 }],
  '#wait': [{}, { by: NAME, offset: OFFSET, stream: HEX16 }],
  '#resume': [{}, { offset: OFFSET, after: WORD }],
  '#beat': [{ offset: OFFSET, crc: HEX8, t: T }, {}],
  '#ack': [{ offset: OFFSET }, { t: T }],
  '#close': [{ reason: WORD }, {}],
};

class Broken extends Error {} // a rule, by the peer: its message is the reason to close with
function demand(holds, reason = 'malformed') { if (!holds) throw new Broken(reason); }

const hex8 = (number) => number.toString(16).padStart(8, '0');
const CRC = Array.from({ length: 256 }, (_, n) => [...Array(8)].reduce((c) => (c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1), n));
function crc32c(text, crc = 0) {
  crc = ~crc;
  for (let i = 0; i < text.length; i++) crc = CRC[(crc ^ text.charCodeAt(i)) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function parse(line) { // a control line; offsets are BigInts
  const [verb, ...words] = line.split(' '), keys = {};
  demand(/^[ -~]*$/.test(line) && Object.hasOwn(GRAMMAR, verb));
  const [required, optional] = GRAMMAR[verb], known = { __proto__: null, ...required, ...optional };
  if (verb === '#hello') demand(/^randstream\/1( |$)/.test(words.shift()), /^#hello [^ =]+( |$)/.test(line) ? 'version' : 'malformed');
  for (const word of words) {
    const [, key, value] = /^([^=]+)=(.+)$/.exec(word) ?? demand(false);
    if (!known[key]) continue; // unknown-keys-ignored
    demand(keys[key] === undefined && known[key].test(value));
    keys[key] = key === 'offset' ? BigInt(value) : value;
  }
  demand(Object.keys(required).every((key) => key in keys) && !(keys.offset > MAX_OFFSET));
  if (verb !== '#open') return [verb, keys];
  const bare = line.slice(0, -' check=01234567'.length); // open-check
  demand(line === `${bare} check=${hex8(crc32c(bare))}` && keys.heartbeat >= 0.05 && keys.heartbeat <= 60);
  return [verb, keys];
}

const rank = (worker, producer) => blake2b(`randstream-rank/1\n${worker}\n${producer}\n`, 8).readBigUInt64BE();

const plainText = (x) => (Number.isInteger(x) ? `${x}.0` : `${x}`); // float-text
const floatText = (x) => (x !== 0 && (Math.abs(x) < 1e-5 || Math.abs(x) >= 1e16) ? x.toExponential() : plainText(x));
function distribution(numbers) { // what makes a number's text of a word; true: one not drawn here; false: none
  const [kind, ...texts] = numbers.split(':'), [a, b] = texts.map(Number), count = { uniform: 2, exponential: 1, normal: 2 }[kind];
  if (kind === 'bits64' && !texts.length) return (word) => `${word}`;
  if (kind === 'integers') {
    if (texts.length !== 2 || !texts.every((text) => /^(0|-?[1-9][0-9]*)$/.test(text))) return false;
    const [low, high] = texts.map(BigInt), span = high - low + 1n;
    const isGood = span >= 1n && span <= 2n ** 32n && low >= -(2n ** 63n) && high < 2n ** 63n;
    return isGood && ((word) => `${low + ((word * span) >> 64n)}`);
  }
  if (texts.length !== count || texts.some((text) => floatText(Number(text)) !== text)) return false; // canonical-spelling
  const uniform = (word) => floatText(a + ((b - a) * (Number(word >> 11n) * 2 ** -53)));
  if (kind === 'uniform') return a <= b && b - a < Infinity && uniform;
  return kind === 'normal' ? b >= 0 && Math.abs(a) + 9 * b < Infinity : a >= 0 && 37 * a < Infinity;
}

class Alarm { // a deadline; one that is rung late, as the process stood still, is put off by `grace`: late-timer
  set(seconds, ring, grace = Infinity) {
    clearTimeout(this.timer);
    this.due = performance.now() + 1000 * seconds;
    const isLate = () => performance.now() - this.due > 500 * grace;
    this.timer = setTimeout(() => (isLate() ? this.set(grace, ring, grace) : ring()), 1000 * seconds);
  }
  get left() { return (this.due - performance.now()) / 1000; }
  stop() { clearTimeout(this.timer); }
}

class Ends { // what both ends of a connection do; each has `on`, `heard` and `over`
  rest = '';
  silence = new Alarm();
  constructor(socket) {
    this.socket = socket.on('data', (chunk) => this.hear(chunk)).on('error', () => {});
    for (const event of ['end', 'close']) socket.on(event, () => this.finish('cut')); // half-close
    this.silence.set(5, () => this.close('timeout'), 1); // handshake-limit
  }
  hear(chunk) {
    try {
      if (!this.isOver) this.heard();
      const lines = (this.rest + chunk.toString('latin1')).split('\n');
      for (const [i, line] of lines.entries()) {
        if (this.isOver) return;
        demand(line.length < (line[0] === '#' ? 512 : 64), 'too-long'); // control-line, number-line
        if (i === lines.length - 1) this.rest = line; // unfinished-line
        else if (/^[0-9-][0-9.e+-]*$/.test(line)) this.takeNumber(line);
        else this.take(...parse(line));
      }
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.close(error.message);
    }
  }
  take(verb, keys) { // the one table of lines and states: `on` of each end
    if (verb === '#close') this.finish(keys.reason);
    else (this.on[`${this.state} ${verb}`] ?? demand(false)).call(this, keys);
  }
  takeNumber() { demand(false); }
  say(line) { this.socket.write(`${line}\n`); }
  close(reason) {
    if (!this.isOver) this.say(`#close reason=${reason}`);
    this.finish(reason);
  }
  finish(reason) {
    if (this.isOver) return;
    this.isOver = true;
    this.silence.stop();
    this.socket.end();
    setTimeout(() => this.socket.destroy(), 1000).unref(); // half-close: the peer may read our last words
    this.over(reason);
  }
}

module.exports = { Alarm, Ends, MAX_OFFSET, NAME, crc32c, demand, distribution, hex8, rank };
