#!/usr/bin/env node
// producer.js HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE: sends RATE numbers a second.
const crypto = require('crypto'), net = require('net'), blake2b = require('./blake2b');
const { Connection, MAX_OFFSET, checked, crc32c, demand, distribution, hex8, seconds } = require('./wire');

const [target, given = '', numbers, name, heartbeat, rate] = process.argv.slice(2), toText = distribution(numbers ?? '');
const [, host, port] = /^(.*):([0-9]+)$/.exec(target) ?? [], instance = crypto.randomBytes(8).toString('hex');
const seed = given.replace(/^\ufeff/, '').normalize('NFC').replace(/^[\t-\r ]+|[\t-\r ]+$/g, ''); // seed-is-text
if (!(port && seed && rate > 0)) throw new Error('give HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE');
if (/[\p{Cc}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]|^[\p{Zs}\p{Cf}]|[\p{Zs}\p{Cf}]$/u.test(seed)) throw new Error('SEED: plain text');
if (typeof toText !== 'function') throw new Error('NUMBERS: integers:LOW:HIGH, bits64, bernoulli:P, uniform:LOW:HIGH');
const M64 = 2n ** 64n - 1n, WINDOW = 32 * 2 ** 20, INTERVAL = 8 * 2 ** 20, PIECE = 2 ** 16;
const FAULTS = ['version', 'refused', 'malformed', 'too-long', 'mismatch', 'busy'];
const starts = new Map(); // start-offset: the highest acked offset of each of the last 8 streams
let [delay, spare, successor] = [0.1, 5, 5]; // bounds of the next delays in s: backoff, line-limit, successor

function drawWord(n, [k0, k1]) { // word-n
  let [x0, x1, x2, x3] = [n / 4n + 1n, 0n, 0n, 0n];
  for (let round = 0; round < 10; round++) {
    const p0 = x0 * 0xD2E7470EE14C6C93n, p2 = x2 * 0xCA5A826395121157n;
    [x0, x1, x2, x3] = [(p2 >> 64n) ^ x1 ^ k0, p2 & M64, (p0 >> 64n) ^ x3 ^ k1, p0 & M64];
    [k0, k1] = [(k0 + 0x9E3779B97F4A7C15n) & M64, (k1 + 0xBB67AE8584CAA73Bn) & M64];
  }
  return [x0, x1, x2, x3][n % 4n];
}

class Link extends Connection {
  constructor() { super(net.connect({ host, port, noDelay: true, keepAlive: true }), 'greeting'); }
  'greeting #hello'({ worker }) {
    const digest = blake2b(`randstream-numbers/1\n${seed}\n${worker}\n${numbers}\n`, 24); // stream-key
    const key = [digest.readBigUInt64LE(0), digest.readBigUInt64LE(8)], stream = digest.toString('hex', 16);
    const open = `#open worker=${worker} stream=${stream} numbers=${numbers} producer=${name}`;
    this.say(checked(`${open} heartbeat=${heartbeat} instance=${instance}`));
    Object.assign(this, { state: 'waiting', key, stream, period: Number(heartbeat), asks: 0, words: 0, secondEnds: 0 });
  }
  'waiting #wait'({ offset = 0n }) {
    demand(++this.words <= 1000 && this.socket.writableLength <= 16 * '#wait\n'.length, 'too-long'); // words-a-second
    this.know(offset);
    if (++this.asks === 4) delay = 0.1; // backoff-starts-over-at-progress
    this.say('#wait'); // asked
  }
  'waiting #resume'({ offset = starts.get(this.stream) ?? 0n }) {
    this.know(offset);
    Object.assign(this, { state: 'streaming', offset, first: offset, acked: offset, beats: [], crc: 0, sent: 0 });
    this.act(this.since = this.beatAt = seconds());
  }
  'streaming #ack'({ offset }) {
    demand(++this.words <= 1000, 'too-long');
    demand(offset >= this.acked && offset <= this.beats.at(-1).offset); // ack-in-range
    this.know(this.acked = offset);
    while (this.beats[1]?.offset <= offset) this.beats.shift(); // the first one is acked
    if (offset > this.first) delay = 0.1;
  }
  know(offset) { // start-offset
    spare = 5;
    const known = starts.get(this.stream) ?? 0n;
    starts.set(this.stream, offset > known ? offset : known);
    if (starts.size > 8) starts.delete(starts.keys().next().value);
  }
  act(now) {
    if (now >= this.secondEnds) [this.words, this.secondEnds] = [0, now + 1];
    if (this.state !== 'streaming') return;
    if (now >= this.beatAt || this.sent - this.beats.at(-1).sent > INTERVAL - PIECE) { // beat-every-8-mib
      if (now >= this.beatAt) this.beatAt = Math.max(this.beatAt + this.period, now); // beat-period
      this.say(`#beat offset=${this.offset} crc=${hex8(this.crc)} t=${Math.floor(1e6 * now)}`);
      this.beats.push({ offset: this.offset, sent: this.sent });
      this.crc = 0;
    }
    const due = rate * (now - this.since) - Number(this.offset - this.first), left = Number(MAX_OFFSET - this.offset);
    const hasRoom = this.socket.writableLength < PIECE && this.sent - this.beats[0].sent < WINDOW - PIECE;
    if (hasRoom) this.send(Math.min(due, left, 1000)); // at most a PIECE
  }
  send(count) {
    let text = '';
    for (; count >= 1; count--) text += `${toText(drawWord(this.offset++, this.key))}\n`;
    this.socket.write(text);
    this.crc = crc32c(text, this.crc);
    this.sent += text.length;
  }
  over(reason) { // reconnect-for-ever
    let wait = 5 * Math.random(); // longest-delay
    if (seconds() - this.since > 120) successor = 5;
    if (reason === 'spare') [wait, spare] = [spare * Math.random(), Math.min(2 * spare, 60)];
    else if (reason === 'takeover') [wait, successor] = [successor * (1 + Math.random()), Math.min(2 * successor, 30)];
    else if (!FAULTS.includes(reason)) [wait, delay] = [delay * Math.random(), Math.min(2 * delay, 5)];
    setTimeout(() => new Link(), 1000 * wait);
  }
}
new Link();
