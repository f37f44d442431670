#!/usr/bin/env node
// producer.js HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE: a randstream producer. RATE is in numbers a second.
'use strict';
const crypto = require('crypto'), net = require('net');
const { Alarm, Ends, MAX_OFFSET, M64, blake2b, crc32c, demand, distribution, hex8 } = require('./wire');

const [target, seed, numbers, name, heartbeatText, rate] = process.argv.slice(2);
const [, host, port] = /^(.*):([0-9]+)$/.exec(target ?? '') ?? [], heartbeat = Number(heartbeatText);
const toText = distribution(numbers ?? ''), instance = crypto.randomBytes(8).toString('hex');
if (!port || !Number(rate) || typeof toText !== 'function') {
  console.error('give HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE; NUMBERS: integers:LOW:HIGH, bits64 or uniform:LOW:HIGH');
  process.exit(2);
}
const WINDOW = 32 * 2 ** 20, INTERVAL = 8 * 2 ** 20, PIECE = 2 ** 16;
const starts = new Map(); // of each of the last 8 streams the highest offset that is known to be acked: start-offset
let [delay, spare, successor] = [0.1, 5, 5]; // the bounds of the next delays: backoff, line-limit, successor

class Stream { // the numbers meant for one worker
  constructor(worker) {
    const digest = blake2b(`randstream-numbers/1\n${seed.trim()}\n${worker}\n${numbers}\n`, 24); // stream-key
    this.key = [digest.readBigUInt64LE(0), digest.readBigUInt64LE(8)];
    this.id = digest.subarray(16).toString('hex');
  }
  lines(offset, count) {
    let text = '';
    for (let n = offset, block; n < offset + BigInt(count); n++) {
      if (!block || n % 4n === 0n) block = this.philox(n / 4n + 1n);
      text += `${toText(block[n % 4n])}\n`;
    }
    return text;
  }
  philox(counter) {
    let [x0, x1, x2, x3, k0, k1] = [counter, 0n, 0n, 0n, ...this.key];
    for (let round = 0; round < 10; round++) {
      const p0 = x0 * 0xD2E7470EE14C6C93n, p2 = x2 * 0xCA5A826395121157n;
      [x0, x1, x2, x3] = [(p2 >> 64n) ^ x1 ^ k0, p2 & M64, (p0 >> 64n) ^ x3 ^ k1, p0 & M64];
      [k0, k1] = [(k0 + 0x9E3779B97F4A7C15n) & M64, (k1 + 0xBB67AE8584CAA73Bn) & M64];
    }
    return [x0, x1, x2, x3];
  }
}

class Connection extends Ends {
  constructor() {
    super(net.connect({ host, port, noDelay: true, keepAlive: true }));
    Object.assign(this, { state: 'greeting', beats: [], words: 0, wordsSince: 0, asks: 0, unwritten: 0, servedAt: Infinity });
    this.silence.set(5, () => this.close('timeout'), 1); // handshake-limit
  }
  heard() {
    if (this.state !== 'greeting') this.silence.set(3 * heartbeat, () => this.close('timeout'), heartbeat);
  }
  take(verb, keys) {
    if (verb === '#hello' && this.state === 'greeting') this.offer(keys.worker);
    else if (verb === '#wait' && this.state === 'waiting') this.answer(keys);
    else if (verb === '#resume' && this.state === 'waiting') this.serve(keys.offset ?? this.start);
    else demand(verb === '#ack' && this.state === 'streaming') || this.acknowledge(keys.offset);
  }
  offer(worker) {
    this.stream = new Stream(worker);
    this.start = starts.get(this.stream.id) ?? 0n;
    const line = `#open worker=${worker} stream=${this.stream.id} numbers=${numbers} producer=${name}`
      + ` heartbeat=${heartbeatText} instance=${instance}`;
    this.say(`${line} check=${hex8(crc32c(line))}`);
    this.state = 'waiting';
    this.heard();
  }
  answer({ offset }) {
    this.count();
    demand((this.unwritten = this.socket.writableLength ? this.unwritten + 1 : 0) <= 16, 'too-long');
    if (offset > this.start) this.know(this.start = offset);
    if (++this.asks === 4) delay = 0.1; // backoff-starts-over-at-progress
    spare = 5;
    this.say('#wait');
  }
  serve(offset) {
    const now = performance.now();
    Object.assign(this, { state: 'streaming', offset, acked: offset, first: offset, crc: 0, interval: 0, sent: 0, ackedBytes: 0,
      servedAt: now, paced: now, due: 0 });
    this.know(offset);
    this.beat();
    this.timers = [setInterval(() => this.beat(), 1000 * heartbeat), setInterval(() => this.pump(), 20)];
  }
  pump() {
    const now = performance.now();
    this.due = Math.min(this.due + (rate * (now - this.paced)) / 1000, 1e5, Number(MAX_OFFSET - this.offset));
    this.paced = now;
    while (this.due >= 1 && this.socket.writableLength < PIECE && this.sent - this.ackedBytes < WINDOW - PIECE) {
      const count = Math.floor(Math.min(this.due, 1000)), text = this.stream.lines(this.offset, count);
      if (this.interval + text.length > INTERVAL) this.beat(); // beat-every-8-mib
      this.socket.write(text);
      this.crc = crc32c(text, this.crc);
      this.interval += text.length;
      this.sent += text.length;
      this.offset += BigInt(count);
      this.due -= count;
    }
  }
  beat() {
    this.say(`#beat offset=${this.offset} crc=${hex8(this.crc)} t=${Math.floor(1000 * performance.now())}`);
    this.beats.push([this.offset, this.sent]);
    this.crc = this.interval = 0;
  }
  acknowledge(offset) {
    this.count();
    demand(offset >= this.acked && offset <= this.beats.at(-1)[0]); // ack-in-range
    this.know(this.acked = offset);
    while (this.beats[0]?.[0] <= offset && (this.beats.length > 1 || this.beats[0][0] < offset)) [, this.ackedBytes] = this.beats.shift();
    if (this.beats[0]?.[0] === offset) [, this.ackedBytes] = this.beats[0];
    if (offset > this.first) delay = 0.1;
  }
  know(offset) {
    const { id } = this.stream, known = starts.get(id) ?? 0n;
    starts.delete(id);
    starts.set(id, offset > known ? offset : known);
    if (starts.size > 8) starts.delete(starts.keys().next().value);
  }
  count() { // words-a-second
    const now = performance.now();
    if (now - this.wordsSince >= 1000) [this.words, this.wordsSince] = [0, now];
    demand(++this.words <= 1000, 'too-long');
  }
  over(reason) {
    (this.timers ?? []).forEach(clearInterval);
    setTimeout(() => new Connection(), 1000 * this.delayAfter(reason)); // reconnect-for-ever
  }
  delayAfter(reason) {
    if (['version', 'refused', 'malformed', 'too-long', 'mismatch', 'busy'].includes(reason)) return 5 * Math.random();
    if (reason === 'takeover') {
      if (performance.now() - this.servedAt > 120e3) successor = 5;
      const low = successor;
      successor = Math.min(2 * successor, 30);
      return low + Math.random() * Math.min(low, 30);
    }
    if (reason === 'spare') return Math.random() * ([spare] = [Math.min(2 * spare, 60), spare])[1];
    return Math.random() * ([delay] = [Math.min(2 * delay, 5), delay])[1];
  }
}
new Connection();
