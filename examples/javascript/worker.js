#!/usr/bin/env node
// worker.js HOST:PORT NAME [DIR]: a randstream worker. DIR/NAME-STREAM.numbers has the numbers, one per line.
const fs = require('fs'), net = require('net'), path = require('path'), blake2b = require('./blake2b');
const { Connection, MAX_OFFSET, NAME, crc32c, demand, distribution, hex8, seconds } = require('./wire');

const [address, name, folder = '.'] = process.argv.slice(2), [, host, port] = /^(.*):([0-9]+)$/.exec(address) ?? [];
if (!port || !NAME.test(name)) throw new Error('give HOST:PORT NAME [DIR]');
const unopened = new Set(), line = new Set(); // connections before their #open, and after it
let served = { isOver: true, heartbeat: Infinity }; // the serving connection, or the last one
let trustsRank = true, turmoil = 0, trial = 0; // turmoil: n of settle; trial: how long a hand-over's choice is to last

const byRank = (a, b) => (a.score < b.score) - (a.score > b.score);
function promote() { // promotion, other-stream
  const isOther = ({ kind }) => kind !== served.kind, owes = ({ owed }) => owed > 0;
  const order = (a, b) => isOther(a) - isOther(b) || owes(a) - owes(b) || (trustsRank ? byRank(a, b) : 0);
  if (served.isOver) [...line].sort(order)[0]?.serve(seconds());
}

class Session extends Connection {
  constructor(socket) {
    super(socket, 'opening');
    this.say(`#hello randstream/1 worker=${name}`);
    if (unopened.size >= 16) [...unopened][Math.floor(16 * Math.random())].close('busy'); // slots
    unopened.add(this);
  }
  act(now) {
    if (this.state === 'waiting' && now >= this.askedAt + this.shortest()) this.ask(now);
    if (now >= this.ackAt) this.acknowledge(now); // at most one a tick: words-a-second, one-ack-waits
    if (now >= this.trialEnds) turmoil = 0; // settle
  }
  'opening #open'({ worker, producer, stream, numbers, heartbeat, instance = '' }) {
    const kind = `${stream} ${numbers}`, rank = blake2b(`randstream-rank/1\n${name}\n${producer}\n`, 8).toString('hex');
    demand(worker === name && distribution(numbers) && heartbeat >= 0.05 && heartbeat <= 60);
    demand(served.isOver || stream !== served.stream || kind === served.kind); // numbers-checked
    for (const other of line) if (instance && instance === other.instance) other.close('takeover');
    demand(line.size < 16, 'spare'); // line-limit
    Object.assign(this, { producer, stream, kind, heartbeat: Number(heartbeat), instance, score: rank + instance });
    Object.assign(this, { state: 'waiting', since: seconds(), owed: 0, patience: 1 + Math.random() });
    this.period = this.shortest();
    unopened.delete(this);
    line.add(this);
    if (served.isOver) promote();
    else this.ask(this.since);
  }
  shortest() { return Math.min(this.heartbeat, served.heartbeat); } // ASK
  ask(now) { // asked, standby-liveness; a connection always serves, as a promotion waits for nothing here
    const what = this.kind === served.kind ? `offset=${served.acked}` : `stream=${served.stream}`;
    this.say(`#wait by=${served.producer} ${what}`);
    this.owed++;
    this.askedAt = now;
    this.period = this.shortest();
    this.deadline = Math.min(this.deadline, now + 3 * this.period); // moves only if ASK has become shorter
  }
  '#wait'() { demand(this.owed-- > 0); }
  serve(now) {
    this.file = path.join(folder, `${name}-${this.stream}.numbers`);
    const text = fs.readFileSync(this.file, { encoding: 'latin1', flag: 'a+' }); // created if missing
    const offset = BigInt(text.split('\n').length - 1);
    this.say(`#resume offset=${offset} after=${!this.askedAt ? 'start' : trial ? 'hand-over' : 'promotion'}`);
    Object.assign(this, { state: 'proving', since: now, ackAt: now + 1.25 * this.heartbeat });
    Object.assign(this, { offset, acked: offset, next: offset, text: '' });
    if (trial) this.trialEnds = now + trial;
    [served, trial] = [this, 0];
  }
  'streaming number'(number) {
    demand(this.next++ < MAX_OFFSET); // last-number
    this.text += `${number}\n`;
    demand(this.text.length <= 8 * 2 ** 20, 'too-long'); // beat-every-8-mib
  }
  '#beat'({ offset, crc, t }) {
    demand(this === served && this.owed === 0);
    demand(offset === this.next && crc === hex8(crc32c(this.text)), 'mismatch'); // beat-checks
    fs.appendFileSync(this.file, this.text, 'latin1'); // revocable-sink
    Object.assign(this, { state: 'streaming', period: this.heartbeat, offset, t, text: '', ackAt: 0 });
    trustsRank = true;
  }
  acknowledge(now) { // the newest beat, or, if none came, the last ack again: ack-once-a-heartbeat
    this.say(`#ack offset=${this.offset}${this.t ? ` t=${this.t}` : ''}`);
    if (this.t) this.handOver(now);
    Object.assign(this, { acked: this.offset, t: null, ackAt: now + 1.25 * this.heartbeat });
  }
  handOver(now) { // hand-over, settle
    const [best] = [...line].filter((it) => it.kind === this.kind && !it.owed && it.score > this.score).sort(byRank);
    if (!best) return;
    const bound = Math.min(3600, Math.max(10, 10 * this.heartbeat, 10 * best.heartbeat) * 2 ** turmoil);
    if (now - Math.max(this.since, best.since) < bound * best.patience) return;
    trial = 10 * bound * best.patience;
    this.close('yield');
  }
  over(reason) {
    for (const set of [unopened, line]) set.delete(this);
    if (this !== served) return;
    if (this.state === 'proving') trustsRank = false;
    if (seconds() < this.trialEnds && !['shutdown', 'yield'].includes(reason)) turmoil++;
    queueMicrotask(promote); // after a takeover the newer connection has joined the line by then
  }
}
net.createServer({ noDelay: true, keepAlive: true }, (socket) => new Session(socket)).listen(port, host);
