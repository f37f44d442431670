// What both ends share: lines and their grammar, checksums, ranks, streams. The rules' names are those of docs/protocol.md.
'use strict';

const MAX_OFFSET = 2n ** 63n - 1n, M64 = 2n ** 64n - 1n;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, OFFSET = /^(0|[1-9][0-9]{0,18})$/, HEX16 = /^[0-9a-f]{16}$/;
const HEX8 = /^[0-9a-f]{8}$/, WORD = /^[a-z][a-z-]{0,31}$/, T = /^[0-9]{1,20}$/;
const GRAMMAR = { // of each verb its keys; those with ! are required
  '#hello': { 'worker!': NAME },
  '#open': { 'worker!': NAME, 'stream!': HEX16, 'numbers!': /./, 'producer!': NAME, instance: HEX16, 'check!': HEX8,
    'heartbeat!': /^[0-9]{1,2}(\.[0-9]{1,3})?$/ },
  '#wait': { by: NAME, offset: OFFSET, stream: HEX16 },
  '#resume': { offset: OFFSET, after: WORD },
  '#beat': { 'offset!': OFFSET, 'crc!': HEX8, 't!': T },
  '#ack': { 'offset!': OFFSET, t: T },
  '#close': { 'reason!': WORD },
};

/** Thrown for a peer that breaks a rule: the reason to close with. */
class Broken extends Error {}
function demand(holds, reason = 'malformed') { if (!holds) throw new Broken(reason); }

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});
/** The CRC-32C of what gave `crc`, followed by the bytes of `text`. */
function crc32c(text, crc = 0) {
  crc = ~crc;
  for (let i = 0; i < text.length; i++) crc = CRC[(crc ^ text.charCodeAt(i)) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
const isNumber = (line) => /^[0-9-][0-9.e+-]*$/.test(line), limit = (line) => (line[0] === '#' ? 512 : 64);
const hex8 = (number) => number.toString(16).padStart(8, '0');

/** A control line as { verb, keys }; offsets are BigInts. */
function parse(line) {
  demand(/^[ -~]*$/.test(line));
  const [verb, ...words] = line.split(' '), grammar = GRAMMAR[verb], keys = {};
  demand(Object.hasOwn(GRAMMAR, verb));
  if (verb === '#hello') {
    const version = words.shift();
    demand(version && !version.includes('='));
    demand(version === 'randstream/1', 'version');
  }
  for (const word of words) {
    const at = word.indexOf('='), key = word.slice(0, at), value = word.slice(at + 1);
    demand(at > 0 && value);
    const pattern = grammar[key] ?? grammar[`${key}!`];
    if (!pattern || key.endsWith('!')) continue; // unknown-keys-ignored
    demand(!Object.hasOwn(keys, key) && pattern.test(value));
    keys[key] = key === 'offset' ? BigInt(value) : value;
    demand(key !== 'offset' || keys.offset <= MAX_OFFSET);
  }
  for (const key of Object.keys(grammar)) demand(!key.endsWith('!') || Object.hasOwn(keys, key.slice(0, -1)));
  if (verb === '#open') {
    const [bare] = line.split(/ check=[^ ]*$/);
    demand(line === `${bare} check=${hex8(crc32c(bare))}` && !bare.includes(' check='));
    demand(keys.heartbeat >= 0.05 && keys.heartbeat <= 60);
  }
  return { verb, keys };
}

const IV = ['6a09e667f3bcc908', 'bb67ae8584caa73b', '3c6ef372fe94f82b', 'a54ff53a5f1d36f1', '510e527fade682d1',
  '9b05688c2b3e6c1f', '1f83d9abfb41bd6b', '5be0cd19137e2179'].map((word) => BigInt(`0x${word}`));
const SIGMA = ('0123456789abcdef ea489fd61c02b753 b8c052fdae367194 7931dcbe265a40f8 905724afe1bc683d '
  + '2c6a0b834d75fe19 c51fed4a0763928b db7ec13950f4862a 6fe9b308c2d714a5 a2847615fb9e3cd0')
  .split(' ').map((row) => [...row].map((digit) => parseInt(digit, 16)));
/** BLAKE2b (RFC 7693) of a text of at most 1,024 bytes, without a key, to `size` bytes. */
function blake2b(text, size) {
  const data = Buffer.from(text), h = [...IV];
  h[0] ^= 0x01010000n ^ BigInt(size);
  for (let at = 0; at === 0 || at < data.length; at += 128) {
    const isLast = at + 128 >= data.length, block = Buffer.alloc(128);
    data.copy(block, 0, at);
    const v = [...h, ...IV];
    v[12] ^= BigInt(isLast ? data.length : at + 128);
    if (isLast) v[14] ^= M64;
    const turn = (x, n) => (x >> n) | ((x << (64n - n)) & M64);
    const mix = (a, b, c, d, x, y) => {
      for (const [word, r1, r2] of [[x, 32n, 24n], [y, 16n, 63n]]) {
        v[a] = (v[a] + v[b] + block.readBigUInt64LE(8 * word)) & M64;
        v[d] = turn(v[d] ^ v[a], r1);
        v[c] = (v[c] + v[d]) & M64;
        v[b] = turn(v[b] ^ v[c], r2);
      }
    };
    for (let round = 0; round < 12; round++) {
      const s = SIGMA[round % 10];
      for (let i = 0; i < 4; i++) mix(i, 4 + i, 8 + i, 12 + i, s[2 * i], s[2 * i + 1]);
      for (let i = 0; i < 4; i++) mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, s[8 + 2 * i], s[9 + 2 * i]);
    }
    for (let i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
  }
  const out = Buffer.alloc(64);
  h.forEach((word, i) => out.writeBigUInt64LE(word, 8 * i));
  return out.subarray(0, size);
}

/** A float's text: float-text. */
function floatText(x) {
  if (x === 0) return '0.0';
  if (Math.abs(x) < 1e-5 || Math.abs(x) >= 1e16) return x.toExponential();
  return Number.isInteger(x) ? `${x}.0` : `${x}`;
}

/** What makes a number's text of a word, for `numbers=`; true if it is not known how; undefined if it is no distribution. */
function distribution(numbers) {
  const [kind, ...texts] = numbers.split(':');
  if (kind === 'bits64' && !texts.length) return (word) => `${word}`;
  if (kind === 'integers') {
    if (texts.length !== 2 || !texts.every((text) => /^(0|-?[1-9][0-9]*)$/.test(text))) return undefined;
    const [low, high] = texts.map(BigInt), span = high - low + 1n;
    if (span < 1n || span > 2n ** 32n || low < -(2n ** 63n) || high >= 2n ** 63n) return undefined;
    return (word) => `${low + ((word * span) >> 64n)}`;
  }
  const values = texts.map(Number), [a, b] = values;
  if (texts.length !== { uniform: 2, exponential: 1, normal: 2 }[kind]) return undefined;
  if (!values.every((value, i) => Number.isFinite(value) && floatText(value) === texts[i])) return undefined;
  if (kind === 'uniform') {
    if (a > b || !Number.isFinite(b - a)) return undefined;
    return (word) => floatText(a + ((b - a) * (Number(word >> 11n) * 2 ** -53)));
  }
  if (kind === 'exponential') return a >= 0 && Number.isFinite(a * 37) ? true : undefined;
  return b >= 0 && Number.isFinite(Math.abs(a) + b * 9) ? true : undefined;
}

/** A deadline. What is handled too late, because the process stood still, is put off by one `grace`: late-timer. */
class Alarm {
  set(seconds, ring, grace = Infinity) {
    clearTimeout(this.timer);
    this.due = performance.now() + 1000 * seconds;
    this.timer = setTimeout(() => {
      if (performance.now() - this.due > 500 * grace) this.set(grace, ring, grace);
      else ring();
    }, 1000 * seconds);
  }
  get left() { return (this.due - performance.now()) / 1000; }
  stop() { clearTimeout(this.timer); }
}

/** What both ends of a connection share. They have `take` for control lines, `takeNumber`, `heard` and `over`. */
class Ends {
  rest = '';
  silence = new Alarm();
  constructor(socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.hear(chunk)).on('error', () => {});
    socket.on('end', () => this.finish('cut')).on('close', () => this.finish('cut'));
  }
  hear(chunk) {
    if (this.isOver) return;
    try {
      this.heard();
      const lines = (this.rest + chunk.toString('latin1')).split('\n');
      this.rest = lines.pop();
      for (const line of lines) {
        demand(line.length < limit(line), 'too-long');
        if (isNumber(line)) this.takeNumber(line);
        else {
          const { verb, keys } = parse(line);
          if (verb === '#close') this.finish(keys.reason);
          else this.take(verb, keys);
        }
        if (this.isOver) return;
      }
      demand(this.rest.length < limit(this.rest), 'too-long');
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.close(error.message);
    }
  }
  takeNumber() { demand(false); }
  say(line) { this.socket.write(`${line}\n`); }
  close(reason) {
    if (!this.isOver) this.say(`#close reason=${reason}`);
    this.finish(reason);
  }
  finish(reason) { // half-close: the peer may read our last words for a second
    if (this.isOver) return;
    this.isOver = true;
    this.silence.stop();
    this.socket.end();
    setTimeout(() => this.socket.destroy(), 1000).unref();
    this.over(reason);
  }
}

const rank = (worker, producer) => blake2b(`randstream-rank/1\n${worker}\n${producer}\n`, 8).readBigUInt64BE();

module.exports = { Alarm, Ends, MAX_OFFSET, M64, NAME, blake2b, crc32c, demand, distribution, hex8, rank };
