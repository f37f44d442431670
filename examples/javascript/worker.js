#!/usr/bin/env node
// worker.js HOST:PORT NAME [DIR]: a randstream worker. It appends to DIR/NAME-STREAM.numbers, whose count of lines is the offset.
'use strict';
const fs = require('fs'), net = require('net'), path = require('path');
const { Alarm, Ends, MAX_OFFSET, NAME, crc32c, demand, distribution, hex8, rank } = require('./wire');

const [address, worker, folder = '.'] = process.argv.slice(2);
const [, host, port] = /^(.*):([0-9]+)$/.exec(address ?? '') ?? [];
if (!port || !NAME.test(worker)) {
  console.error('give HOST:PORT NAME [DIR]');
  process.exit(2);
}
const unopened = new Set(), waiting = new Set(); // in the order in which they came
let serving = null, served = null, acked = null, trustsRank = true, turmoil = 0, handedOver = null;
const seconds = () => performance.now() / 1000;
const isSame = (one, other) => one.stream === other.stream && one.numbers === other.numbers;
const best = (sessions) => sessions.reduce((one, other) => (one && one.score >= other.score ? one : other), null);

function promote() { // promotion: nobody serves
  const all = [...waiting], same = all.filter((each) => served && isSame(each.offer, served));
  let those = same.length ? same : all;
  if (!same.length && those.length) those = those.filter((each) => isSame(each.offer, best(those).offer));
  const ready = those.filter((each) => !each.owed), chosen = ready.length ? ready : those;
  if (!serving && chosen.length) (trustsRank ? best(chosen) : chosen[0]).serve();
}

class Session extends Ends {
  constructor(socket) {
    super(socket);
    Object.assign(this, { state: 'opening', owed: 0, repeat: new Alarm(), asking: new Alarm(), late: new Alarm(), period: Infinity });
    this.say(`#hello randstream/1 worker=${worker}`);
    this.silence.set(5, () => this.close('timeout'), 1); // handshake-limit
    if (unopened.size >= 16) [...unopened][Math.floor(16 * Math.random())].close('busy'); // slots
    unopened.add(this);
  }
  heard() {
    if (this.state !== 'opening') this.silence.set(3 * this.period, () => this.close('timeout'), this.period);
  }
  take(verb, keys) {
    if (verb === '#open' && this.state === 'opening') this.open(keys);
    else if (verb === '#wait' && ['waiting', 'proving'].includes(this.state)) demand(this.owed-- > 0);
    else demand(verb === '#beat' && (this.state === 'streaming' || (this.state === 'proving' && !this.owed))) || this.prove(keys);
  }
  open(offer) {
    demand(offer.worker === worker && distribution(offer.numbers));
    unopened.delete(this);
    this.offer = { ...offer, heartbeat: Number(offer.heartbeat) };
    this.score = rank(worker, offer.producer) * 2n ** 65n + (offer.instance ? 2n ** 64n + BigInt(`0x${offer.instance}`) : 0n);
    for (const other of [...waiting, ...(serving ? [serving] : [])]) { // instance
      if (offer.instance && other.offer.instance === offer.instance) other.close('takeover', false);
    }
    demand(!serving || serving.offer.stream !== offer.stream || serving.offer.numbers === offer.numbers);
    demand(waiting.size + (serving ? 1 : 0) < 16, 'spare'); // line-limit
    Object.assign(this, { state: 'waiting', since: seconds(), patience: 1 + Math.random(), period: this.ask });
    waiting.add(this);
    this.heard();
    if (serving) this.askNow();
    else promote();
  }
  get ask() { return Math.min(this.offer.heartbeat, served?.heartbeat ?? Infinity); } // ASK
  askNow() {
    const by = serving ? ` by=${serving.offer.producer}` : '', same = served && isSame(served, this.offer);
    this.say(`#wait${by}${same ? ` offset=${acked}` : ''}${serving && !same ? ` stream=${served.stream}` : ''}`);
    this.owed++;
    if (serving) this.hasStoodBy = true;
    const period = this.ask;
    if (period < this.period) this.silence.set(Math.min(this.silence.left, 3 * period), () => this.close('timeout'), period);
    this.period = period;
    this.asking.set(period, () => this.askNow());
  }
  serve() {
    const after = !this.hasStoodBy ? 'start' : handedOver ? 'hand-over' : 'promotion';
    waiting.delete(this);
    this.asking.stop();
    this.file = path.join(folder, `${worker}-${this.offer.stream}.numbers`);
    this.offset = fs.existsSync(this.file) ? BigInt(fs.readFileSync(this.file, 'latin1').split('\n').length - 1) : 0n;
    Object.assign(this, { state: 'proving', interval: [], bytes: 0, crc: 0, count: 0n, settle: handedOver, lastWord: 0 });
    [serving, served, acked, handedOver] = [this, this.offer, this.offset, null];
    this.servedSince = seconds();
    this.say(`#resume offset=${this.offset} after=${after}`);
    this.ackLater();
    for (const other of waiting) if (other.asking.left > other.ask) other.asking.set(other.ask, () => other.askNow());
  }
  takeNumber(line) {
    demand(this.state === 'streaming' && this.offset + this.count < MAX_OFFSET);
    this.count++;
    this.interval.push(line, '\n');
    demand((this.bytes += line.length + 1) <= 8 * 2 ** 20, 'too-long'); // beat-every-8-mib
  }
  prove({ offset, crc, t }) {
    const text = this.interval.join('');
    demand(offset === this.offset + this.count && crc === hex8(crc32c(text)), 'mismatch');
    if (text) fs.appendFileSync(this.file, text, 'latin1');
    Object.assign(this, { offset, interval: [], bytes: 0, count: 0n, t });
    if (this.state === 'proving') {
      [this.state, this.period, trustsRank] = ['streaming', this.offer.heartbeat, true];
      this.heard();
    }
    const wait = this.lastWord + 0.002 - seconds(); // words-a-second
    if (wait > 0) this.late.set(wait, () => this.acknowledge());
    else this.acknowledge();
  }
  acknowledge() { // the newest beat, or, if there is none since, the last ack again
    this.late.stop();
    [acked, this.lastWord] = [this.offset, seconds()];
    this.say(`#ack offset=${this.offset}${this.t ? ` t=${this.t}` : ''}`);
    this.ackLater();
    if (this.t) this.handOver();
    this.t = undefined;
  }
  ackLater() { this.repeat.set(1.25 * this.offer.heartbeat, () => this.acknowledge()); }
  handOver() {
    const now = seconds(), other = best([...waiting].filter((each) => !each.owed && isSame(each.offer, this.offer)));
    if (!other || other.score >> 65n <= this.score >> 65n) return;
    if (this.settle && now - this.servedSince >= 10 * this.settle) turmoil = 0;
    const base = Math.max(10, 10 * this.offer.heartbeat, 10 * other.offer.heartbeat) * 2 ** turmoil;
    const settle = Math.min(base, 3600) * other.patience;
    if (now - other.since < settle || now - this.servedSince < settle) return;
    handedOver = settle;
    this.close('yield');
  }
  over(reason) {
    for (const alarm of [this.repeat, this.asking, this.late]) alarm.stop();
    unopened.delete(this);
    waiting.delete(this);
    if (serving !== this) return;
    if (this.state !== 'streaming') trustsRank = false;
    if (this.settle && seconds() - this.servedSince >= 10 * this.settle) turmoil = 0;
    else if (this.settle && !['shutdown', 'yield'].includes(reason)) turmoil++;
    serving = null;
    setImmediate(promote);
  }
}
net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => new Session(socket)).listen(port, host);
