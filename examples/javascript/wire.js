// Shared by both ends: lines, checksums, distributions, a connection. Names in comments are rules of docs/protocol.md.
const MAX_OFFSET = 2n ** 63n - 1n, NAME = /^[A-Za-z0-9][\w.-]{0,127}$/, WORD = /^[a-z][a-z-]{0,31}$/, T = /^\d{1,20}$/;
const OFFSET = /^(0|[1-9]\d{0,18})$/, SPAN = /^\d{1,2}(\.\d{1,3})?$/, ID = /^[0-9a-f]{16}$/, CRC = /^[0-9a-f]{8}$/;
const GRAMMAR = { // for each verb, the required keys and the optional ones
  '#hello': [{ worker: NAME }, {}],
  '#open': [{ worker: NAME, producer: NAME, stream: ID, numbers: /./, heartbeat: SPAN, check: CRC }, { instance: ID }],
  '#wait': [{}, { by: NAME, offset: OFFSET, stream: ID }],
  '#resume': [{}, { offset: OFFSET, after: WORD }],
  '#beat': [{ offset: OFFSET, crc: CRC, t: T }, {}],
  '#ack': [{ offset: OFFSET }, { t: T }],
  '#close': [{ reason: WORD }, {}],
};

class Broken extends Error {} // the peer broke a rule: the message is the reason to close with
function demand(holds, reason = 'malformed') { if (!holds) throw new Broken(reason); }
const seconds = () => performance.now() / 1000;
const hex8 = (number) => number.toString(16).padStart(8, '0');
const checked = (line) => `${line} check=${hex8(crc32c(line))}`; // open-check
const shifted = (crc) => (crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1);
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => Array(8).fill().reduce(shifted, byte)); // 8 bits at once
function crc32c(text, crc = 0) {
  crc = ~crc;
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ text.charCodeAt(i)) & 255];
  return ~crc >>> 0;
}

function parse(line) { // a control line; its offset becomes a BigInt
  const [verb, ...words] = line.split(' '), keys = {};
  demand(/^[ -~]*$/.test(line) && Object.hasOwn(GRAMMAR, verb));
  const [required, optional] = GRAMMAR[verb], known = { __proto__: null, ...required, ...optional };
  const fault = /^#hello [^ =]+( |$)/.test(line) ? 'version' : 'malformed';
  if (verb === '#hello') demand(words.shift() === 'randstream/1', fault); // hello-version
  for (const word of words) {
    const [, key, value] = /^([^=]+)=(.+)$/.exec(word) ?? demand(false);
    if (!known[key]) continue; // unknown-keys-ignored
    demand(!(key in keys) && known[key].test(value));
    keys[key] = key === 'offset' ? BigInt(value) : value;
  }
  demand(Object.keys(required).every((key) => key in keys) && !(keys.offset > MAX_OFFSET));
  demand(verb !== '#open' || line === checked(line.split(' check=')[0]));
  return [verb, keys];
}

function floatText(x) { // float-text
  if (x !== 0 && (Math.abs(x) < 1e-5 || Math.abs(x) >= 1e16)) return x.toExponential();
  return Number.isInteger(x) ? `${x}.0` : `${x}`;
}
function distribution(numbers) { // the function from a word to a number's text; true: not drawn here; false: unknown
  const [kind, ...texts] = numbers.split(':'), [a, b] = texts.map(Number), integer = /^(0|-?[1-9]\d*)$/;
  const isCanonical = (text) => (kind === 'integers' ? integer.test(text) : floatText(Number(text)) === text);
  const count = { bits64: 0, integers: 2, bernoulli: 1, poisson: 1, uniform: 2, exponential: 1, normal: 2 }[kind];
  if (texts.length !== count || !texts.every(isCanonical)) return false;
  if (kind === 'bits64') return (word) => `${word}`;
  const toBernoulli = (word) => (word >= 2n ** 64n - BigInt(Math.floor(a * 2 ** 64)) ? '1' : '0');
  if (kind === 'bernoulli') return a >= 0 && a <= 1 && toBernoulli;
  if (kind === 'poisson') return a >= 0 && a <= 1000;
  if (kind === 'exponential') return a >= 0 && 37 * a < Infinity;
  if (kind === 'normal') return b >= 0 && Math.abs(a) + 9 * b < Infinity;
  const toUniform = (word) => floatText(a + (b - a) * (Number(word >> 11n) * 2 ** -53));
  if (kind === 'uniform') return a <= b && b - a < Infinity && toUniform;
  const [low, high] = texts.map(BigInt), span = high - low + 1n;
  const isGood = span >= 1n && low >= -(2n ** 63n) && high < 2n ** 63n;
  return isGood && ((word) => `${low + ((word * span) >> 64n)}`);
}

class Connection { // each end adds handlers for lines, in one state ('waiting #wait') or any ('#beat'), `act`, `over`
  rest = '';
  deadline = seconds() + 5; // handshake-limit; once there is a period, three of them without a byte: silence
  clock = setInterval(() => this.tick(seconds()), 5);
  constructor(socket, state) {
    Object.assign(this, { socket, state });
    socket.on('data', (chunk) => this.hear(chunk)).on('error', () => {}).on('close', () => this.finish('cut'));
  }
  tick(now) {
    const late = now - this.deadline, period = this.period ?? 1;
    if (late > period / 2) this.deadline = now + period; // late-timer: this process stood still
    else if (late > 0) this.close('timeout');
    else this.act(now);
  }
  hear(chunk) {
    const lines = (this.rest + chunk.toString('latin1')).split('\n');
    this.rest = lines.at(-1); // unfinished-line
    try {
      for (const [i, line] of lines.entries()) {
        if (this.isOver) return;
        demand(line.length < (line[0] === '#' ? 512 : 64), 'too-long'); // control-line, number-line
        if (i < lines.length - 1) this.take(...(/^[\d-][\d.e+-]*$/.test(line) ? ['number', line] : parse(line)));
      }
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.close(error.message);
    }
    if (this.period) this.deadline = seconds() + 3 * this.period;
  }
  take(verb, keys) { (this[`${this.state} ${verb}`] ?? this[verb] ?? demand(false)).call(this, keys); }
  '#close'({ reason }) { this.finish(reason); }
  say(line) { this.socket.write(`${line}\n`); }
  close(reason) {
    this.say(`#close reason=${reason}`);
    this.finish(reason);
  }
  finish(reason) {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.clock);
    this.socket.end();
    setTimeout(() => this.socket.destroy(), 1000).unref(); // half-close: the peer may read our last words
    this.over(reason);
  }
}

module.exports = { Connection, MAX_OFFSET, NAME, checked, crc32c, demand, distribution, hex8, seconds };
