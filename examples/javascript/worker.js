#!/usr/bin/env node
// worker.js HOST:PORT NAME [DIR]: a randstream worker. DIR/NAME-STREAM.numbers has the numbers; its count of lines is the offset.
'use strict';
const fs = require('fs'), net = require('net'), path = require('path');
const { Alarm, Ends, MAX_OFFSET, NAME, crc32c, demand, distribution, hex8, rank } = require('./wire');

const [address, worker, folder = '.'] = process.argv.slice(2), [, host, port] = /^(.*):([0-9]+)$/.exec(address) ?? [];
if (!port || !NAME.test(worker)) {
  console.error('give HOST:PORT NAME [DIR]');
  process.exit(2);
}
const unopened = new Set(), waiting = new Set(), seconds = () => performance.now() / 1000;
let serving = null, served = null, acked = 0n, trustsRank = true, turmoil = 0, settled = 0; // served: whoever serves, or did last
const best = (sessions) => sessions.reduce((one, other) => (one?.score >= other.score ? one : other), undefined);
const ofStream = (session) => [...waiting].filter(({ kind }) => kind === session?.kind);

function promote() { // promotion, other-stream
  if (serving || !waiting.size) return;
  const those = ofStream(ofStream(served).length ? served : best([...waiting])), ready = those.filter(({ owed }) => !owed);
  const chosen = ready.length ? ready : those;
  (trustsRank ? best(chosen) : chosen[0]).serve();
}

class Session extends Ends {
  constructor(socket) {
    super(socket);
    Object.assign(this, { state: 'opening', owed: 0, period: Infinity, lastWord: 0, settle: 0 });
    [this.asking, this.acking] = [new Alarm(), new Alarm()];
    this.say(`#hello randstream/1 worker=${worker}`);
    if (unopened.size >= 16) [...unopened][Math.floor(16 * Math.random())].close('busy'); // slots
    unopened.add(this);
  }
  heard() { if (this.state !== 'opening') this.listen(3 * this.period); }
  listen(limit) { this.silence.set(limit, () => this.close('timeout'), this.period); }
  on = { 'opening #open': this.open, 'waiting #wait': this.hearAnswer, 'proving #wait': this.hearAnswer, 'proving #beat': this.prove,
    'streaming #beat': this.prove };
  hearAnswer() { demand(this.owed-- > 0); } // asked
  open({ worker: name, producer, stream, numbers, heartbeat, instance }) {
    demand(name === worker && distribution(numbers)); // open-names-the-worker, numbers-checked
    unopened.delete(this);
    Object.assign(this, { producer, stream, numbers, instance, heartbeat: Number(heartbeat), kind: `${stream} ${numbers}` });
    this.score = (rank(worker, producer) << 65n) + (instance ? 2n ** 64n + BigInt(`0x${instance}`) : 0n); // rank
    for (const other of [serving, ...waiting]) if (instance && other?.instance === instance) other.close('takeover');
    demand(serving?.stream !== stream || serving.numbers === numbers);
    demand(waiting.size + (serving ? 1 : 0) < 16, 'spare'); // line-limit
    Object.assign(this, { state: 'waiting', since: seconds(), patience: 1 + Math.random(), period: this.shortest() });
    waiting.add(this);
    this.heard();
    if (serving) this.ask();
    else promote();
  }
  shortest() { return Math.min(this.heartbeat, served?.heartbeat ?? Infinity); } // ASK
  ask() { // asked, standby-liveness
    const isSame = this.kind === served?.kind, by = serving ? ` by=${serving.producer}` : '';
    this.say(`#wait${by}${isSame ? ` offset=${acked}` : serving ? ` stream=${served.stream}` : ''}`);
    this.owed++;
    if (serving) this.hasStoodBy = true;
    const isShorter = this.shortest() < this.period;
    this.period = this.shortest();
    if (isShorter) this.listen(Math.min(this.silence.left, 3 * this.period));
    this.asking.set(this.period, () => this.ask());
  }
  serve() {
    const after = !this.hasStoodBy ? 'start' : settled ? 'hand-over' : 'promotion';
    this.file = path.join(folder, `${worker}-${this.stream}.numbers`);
    this.offset = fs.existsSync(this.file) ? BigInt(fs.readFileSync(this.file, 'latin1').split('\n').length - 1) : 0n;
    Object.assign(this, { state: 'proving', text: '', count: 0n, settle: settled, servedSince: seconds() });
    waiting.delete(this);
    this.asking.stop();
    [serving, served, acked, settled] = [this, this, this.offset, 0];
    this.say(`#resume offset=${this.offset} after=${after}`);
    this.acking.set(1.25 * this.heartbeat, () => this.acknowledge());
    for (const other of waiting) if (!(other.asking.left <= other.shortest())) other.asking.set(other.shortest(), () => other.ask());
  }
  takeNumber(line) {
    demand(this.state === 'streaming' && this.offset + this.count < MAX_OFFSET); // last-number
    this.text += `${line}\n`;
    this.count++;
    demand(this.text.length <= 8 * 2 ** 20, 'too-long'); // beat-every-8-mib
  }
  prove({ offset, crc, t }) {
    demand(this.owed === 0);
    demand(offset === this.offset + this.count && crc === hex8(crc32c(this.text)), 'mismatch'); // beat-checks
    if (this.text) fs.appendFileSync(this.file, this.text, 'latin1'); // revocable-sink
    Object.assign(this, { offset, t, text: '', count: 0n });
    if (this.state === 'proving') [this.state, this.period, trustsRank] = ['streaming', this.heartbeat, true];
    this.heard();
    this.acking.set(Math.max(0, this.lastWord + 0.002 - seconds()), () => this.acknowledge()); // words-a-second, one-ack-waits
  }
  acknowledge() { // the newest beat, or, if none came, the last ack again: ack-once-a-heartbeat
    [acked, this.lastWord] = [this.offset, seconds()];
    this.say(`#ack offset=${this.offset}${this.t ? ` t=${this.t}` : ''}`);
    this.acking.set(1.25 * this.heartbeat, () => this.acknowledge());
    if (this.t) this.handOver();
    this.t = undefined;
  }
  handOver() { // hand-over, settle
    const other = best(ofStream(this).filter(({ owed }) => !owed)), now = seconds();
    if (!other || other.score <= this.score) return;
    this.judge();
    const settle = Math.min(3600, Math.max(10, 10 * this.heartbeat, 10 * other.heartbeat) * 2 ** turmoil) * other.patience;
    if (now - other.since < settle || now - this.servedSince < settle) return;
    settled = settle;
    this.close('yield');
  }
  judge(reason = 'yield') { // was the hand-over to this one right?
    if (this.settle && seconds() - this.servedSince >= 10 * this.settle) turmoil = 0;
    else if (this.settle && !['shutdown', 'yield'].includes(reason)) turmoil++;
  }
  over(reason) {
    [this.asking, this.acking].forEach((alarm) => alarm.stop());
    [unopened, waiting].forEach((set) => set.delete(this));
    if (serving !== this) return;
    this.judge(reason);
    if (this.state !== 'streaming') trustsRank = false;
    serving = null;
    setImmediate(promote);
  }
}
net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => new Session(socket)).listen(port, host);
