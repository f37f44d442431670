#!/usr/bin/env node
// producer.js HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE: a randstream producer. RATE is in numbers a second.
'use strict';
const crypto = require('crypto'), net = require('net');
const blake2b = require('./blake2b'), { Ends, MAX_OFFSET, crc32c, demand, distribution, hex8 } = require('./wire');

const [target, seed, numbers, name, heartbeatText, rate] = process.argv.slice(2), heartbeat = Number(heartbeatText);
const [, host, port] = /^(.*):([0-9]+)$/.exec(target) ?? [], toText = distribution(numbers ?? '');
if (!(port && rate > 0 && typeof toText === 'function')) {
  console.error('give HOST:PORT SEED NUMBERS NAME HEARTBEAT RATE; NUMBERS: integers:LOW:HIGH, bits64 or uniform:LOW:HIGH');
  process.exit(2);
}
const [WINDOW, INTERVAL, PIECE] = [32 * 2 ** 20, 8 * 2 ** 20, 2 ** 16], instance = crypto.randomBytes(8).toString('hex');
const starts = new Map(); // of each of the last 8 streams the highest offset known to be acked: start-offset
const M64 = 2n ** 64n - 1n;
let [delay, spare, successor] = [0.1, 5, 2.5]; // bounds of delays: backoff, line-limit, successor

function philox(counter, [k0, k1]) {
  let [x0, x1, x2, x3] = [counter, 0n, 0n, 0n];
  for (let round = 0; round < 10; round++) {
    const p0 = x0 * 0xD2E7470EE14C6C93n, p2 = x2 * 0xCA5A826395121157n;
    [x0, x1, x2, x3] = [(p2 >> 64n) ^ x1 ^ k0, p2 & M64, (p0 >> 64n) ^ x3 ^ k1, p0 & M64];
    [k0, k1] = [(k0 + 0x9E3779B97F4A7C15n) & M64, (k1 + 0xBB67AE8584CAA73Bn) & M64];
  }
  return [x0, x1, x2, x3];
}

class Connection extends Ends {
  constructor() {
    super(net.connect({ host, port, noDelay: true, keepAlive: true }));
    Object.assign(this, { state: 'greeting', beats: [], words: 0, wordsSince: 0, asks: 0, unwritten: 0, timers: [] });
  }
  heard() { if (this.state !== 'greeting') this.silence.set(3 * heartbeat, () => this.close('timeout'), heartbeat); }
  on = { 'greeting #hello': this.offer, 'waiting #wait': this.answer, 'waiting #resume': this.serve, 'streaming #ack': this.acknowledge };
  offer({ worker }) {
    const digest = blake2b(`randstream-numbers/1\n${seed.trim()}\n${worker}\n${numbers}\n`, 24); // stream-key
    this.key = [digest.readBigUInt64LE(0), digest.readBigUInt64LE(8)];
    this.stream = digest.toString('hex', 16);
    const line = `#open worker=${worker} stream=${this.stream} numbers=${numbers} producer=${name} heartbeat=${heartbeatText}`;
    this.say(`${line} instance=${instance} check=${hex8(crc32c(`${line} instance=${instance}`))}`);
    [this.state, this.start] = ['waiting', starts.get(this.stream) ?? 0n];
    this.heard();
  }
  answer({ offset }) {
    this.count();
    demand((this.unwritten = this.socket.writableLength ? this.unwritten + 1 : 0) <= 16, 'too-long'); // asked
    if (offset > this.start) this.know(this.start = offset);
    if (++this.asks === 4) delay = 0.1; // backoff-starts-over-at-progress
    spare = 5;
    this.say('#wait');
  }
  serve({ offset = this.start }) {
    const now = performance.now(), counts = { crc: 0, interval: 0, sent: 0, ackedBytes: 0, due: 0 };
    Object.assign(this, counts, { state: 'streaming', offset, acked: offset, first: offset, servedAt: now, paced: now });
    this.know(offset);
    this.beat();
    this.timers = [setInterval(() => this.beat(), 1000 * heartbeat), setInterval(() => this.pump(), 20)];
  }
  pump() {
    const now = performance.now();
    this.due = Math.min(this.due + (rate * (now - this.paced)) / 1000, 1e5, Number(MAX_OFFSET - this.offset));
    this.paced = now;
    while (this.due >= 1 && this.socket.writableLength < PIECE && this.sent - this.ackedBytes < WINDOW - PIECE) {
      let text = '';
      for (let block, left = Math.min(this.due, 1000); left >= 1; left--, this.due--, this.offset++) { // word-n
        if (!text || this.offset % 4n === 0n) block = philox(this.offset / 4n + 1n, this.key);
        text += `${toText(block[this.offset % 4n])}\n`;
      }
      this.socket.write(text);
      [this.crc, this.interval, this.sent] = [crc32c(text, this.crc), this.interval + text.length, this.sent + text.length];
      if (this.interval > INTERVAL - PIECE) this.beat(); // beat-every-8-mib
    }
  }
  beat() {
    this.say(`#beat offset=${this.offset} crc=${hex8(this.crc)} t=${Math.floor(1000 * performance.now())}`);
    this.beats.push([this.beaten = this.offset, this.sent]);
    this.crc = this.interval = 0;
  }
  acknowledge({ offset }) {
    this.count();
    demand(offset >= this.acked && offset <= this.beaten); // ack-in-range
    this.know(this.acked = offset);
    while (this.beats[0]?.[0] <= offset) [, this.ackedBytes] = this.beats.shift();
    if (offset > this.first) delay = 0.1;
  }
  know(offset) {
    const known = starts.get(this.stream) ?? 0n;
    starts.delete(this.stream);
    starts.set(this.stream, offset > known ? offset : known);
    if (starts.size > 8) starts.delete(starts.keys().next().value);
  }
  count() { // words-a-second
    const now = performance.now();
    if (now - this.wordsSince >= 1000) [this.words, this.wordsSince] = [0, now];
    demand(++this.words <= 1000, 'too-long');
  }
  over(reason) { // reconnect-for-ever
    this.timers.forEach(clearInterval);
    setTimeout(() => new Connection(), 1000 * this.delayAfter(reason));
  }
  delayAfter(reason) {
    const random = Math.random(), isLong = performance.now() - this.servedAt > 120e3;
    if (['version', 'refused', 'malformed', 'too-long', 'mismatch', 'busy'].includes(reason)) return 5 * random; // longest-delay
    if (reason === 'takeover') successor = isLong ? 5 : Math.min(2 * successor, 30);
    else if (reason === 'spare') spare = Math.min(2 * spare, 60);
    else delay = Math.min(2 * delay, 5);
    return reason === 'takeover' ? successor * (1 + random) : (random * (reason === 'spare' ? spare : delay)) / 2;
  }
}
new Connection();
