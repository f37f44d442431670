"""Wire: reads everything that workers and producers write to each other, and checks every line against the rules.

It judges by what each end has read, not by what was sent; and by the disks, not by what a process believes. Each
method names the rules of `docs/protocol.md` that it checks.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Final

from tests.simulation.burial import Outside
from tests.simulation.cluster import Cluster
from tests.simulation.machines import STORE, Machine, ProducerMachine, WorkerMachine
from tests.simulation.network import Connection, Sock
from tests.simulation.world import Process
from tests.store.disk import Inode

from randstream.backoff import FIRST_SUCCESSION, LONGEST_DELAY
from randstream.protocol import HANDSHAKE_LIMIT, SILENCE_HEARTBEATS
from randstream.worker.admission import UNOPENED_LIMIT

SPEECH_HEARTBEATS: Final = 1.25
"""How often both ends say something: beats, and repeated acks."""
SLACK: Final = 0.1
"""Seconds: a tick of the wheel, and the loop's other work before it."""
SETTLE_SECONDS: Final = 10.0
SETTLE_HEARTBEATS: Final = 10
DIALS_WINDOW: Final = 10.0
DIAL_SECONDS: Final = 1.0
"""For names and a handshake."""
MOST_DIALS: Final = 25
"""Per link in that time: a dozen while its worker is away, and more when it comes and goes."""
DISAGREEMENTS: Final = frozenset({"malformed", "mismatch", "too-long", "version", "none"})
_PAIR: Final = re.compile(r"([a-z]+)=(\S+)")


@dataclass
class Speech(Outside):
    """One end of a connection."""

    sock: Sock
    machine: Machine
    process: Process
    text: bytearray = field(default_factory=bytearray)
    """An unfinished line."""
    sent_bytes: int = 0
    read_bytes: int = 0
    began_at: float = -inf
    """When it first said something: a worker has accepted the connection then."""
    spoke_at: float = -inf
    read_at: float = -inf
    closed_with: str | None = None
    closed_bytes: int = 0

    def is_open(self) -> bool:
        """Whether the program has this end and means to keep it."""
        transport = self.sock.transport
        return not (
            self.sock.gone or self.sock.closed or self.sock.eof or transport is None or transport.is_closing()
            or self.closed_with or transport._eof
        )  # fmt: skip

    def has_room(self) -> bool:
        """Whether its kernel takes what it says."""
        self.sock.out.settle()
        return len(self.sock.out.buffer) * 3 <= self.sock.host.send_buffer


@dataclass
class Talk(Outside):
    """A connection between a producer and a worker, and what was said there. Times are infinite until they come."""

    connection: Connection
    worker: Speech
    producer: Speech
    made_at: float
    stream: str = ""
    instance: str = ""
    name: str = ""
    """The producer's."""
    heartbeat: float = 1.0
    opened_at: float = inf
    """When the producer said `#open`, and the worker had read it."""
    open_read_at: float = inf
    open_bytes: int = 0
    resumed_at: float = inf
    resume_read_at: float = inf
    resume_bytes: int = 0
    beat_read_at: float = inf
    """When the worker had read the opening beat."""
    beat_bytes: int = 0
    asks: list[int] = field(default_factory=list)
    """How many bytes the worker had sent with each of its `#wait`s."""
    answers: list[int] = field(default_factory=list)
    """How many the producer had sent with each of its own."""
    acked_offset: int = 0
    last_said: str = ""
    """The worker's last line, and when it was sent."""
    said_at: float = -inf
    has_stood_by: bool = False
    """Whether it has heard that another serves."""
    must_yield: bool = False
    """Whether the last ack that answered a beat was the moment to hand over."""

    def rank(self) -> tuple[int, str]:
        """The higher, the better."""
        text = f"randstream-rank/1\n{self.worker.machine.name}\n{self.name}\n"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"), self.instance

    def is_waiting(self) -> bool:
        """Whether it is in the worker's line and does not serve."""
        has_said_goodbye = bool(self.producer.closed_with) and self.worker.read_bytes >= self.producer.closed_bytes
        return self.worker.is_open() and not has_said_goodbye and self.open_read_at < inf and self.resumed_at == inf

    def is_unopened(self) -> bool:
        """Whether the worker has accepted it, and keeps it without having read what it is."""
        return not self.has_left() and self.open_read_at == inf

    def has_left(self) -> bool:
        """Whether the worker has ended it, or has heard that it is over."""
        return bool(self.worker.closed_with) or self.worker.sock.transport is None

    def owes_answer(self) -> bool:
        """Whether the worker has asked, and has not read the answer."""
        return len(self.asks) > sum(end <= self.worker.read_bytes for end in self.answers)

    def is_damaged(self) -> bool:
        """Whether the network may have changed what was said."""
        return bool(self.producer.sock.out.flips or self.worker.sock.out.flips)


class Wire(Outside):
    """Taps a cluster's network. `broken` is what did not hold; call `check` often."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self.broken: list[str] = []
        self._talks: dict[Connection, Talk] = {}
        self._speeches: dict[Sock, tuple[Talk, Speech, Speech]] = {}
        self._resumed_lives: set[tuple[str, int, str]] = set()
        self._taken_over: dict[tuple[str, str], float] = {}
        self._yielded: dict[tuple[Process, Machine], float] = {}
        """When a link heard that it must, until it is back."""
        self._served: dict[Process, Talk] = {}
        """The connection that each worker's process lets serve, or did last."""
        self._distrusting: set[Process] = set()
        """Those whose last choice never sent its opening beat, until one does."""
        self._unsure: set[Process] = set()
        self._handed_over: Counter[Process] = Counter()
        """How often each worker's process has handed over: SETTLE has doubled no more often than that."""
        self._instances: dict[tuple[Process, str], str] = {}
        self._links: dict[str, tuple[Process, str]] = {}
        self._newest: dict[tuple[Process, str], Talk] = {}
        """Of each link at each worker's process, the connection that opened last."""
        self.promotions: Counter[str] = Counter()
        """How many `#resume`s came with each `after`."""
        self._dials: dict[str, deque[tuple[float, int, Process | None]]] = {}
        cluster.network.tap = self

    # ---- what is tapped ----------------------------------------------------------------------------------------------

    def on_made(self, connection: Connection) -> None:
        hosts = {machine.host: machine for machine in (*self._cluster.machines, *self._cluster.strangers)}
        client, server = hosts[connection.client.host], hosts[connection.server.host]
        assert isinstance(client, ProducerMachine)
        assert isinstance(server, WorkerMachine)
        producer, worker = (
            Speech(sock, machine, sock.loop.process)
            for sock, machine in ((connection.client, client), (connection.server, server))
        )
        talk = self._talks[connection] = Talk(connection, worker, producer, self._world.now)
        self._speeches[connection.client] = talk, producer, worker
        self._speeches[connection.server] = talk, worker, producer
        self._yielded.pop((producer.process, server), None)
        taken_at = self._taken_over.pop((producer.process.name, server.name), -inf)
        if self._world.now - taken_at < FIRST_SUCCESSION - SLACK:
            self._break(talk, f"dialled {self._world.now - taken_at:.3f} s after a takeover: successor")

    def on_sent(self, sock: Sock, data: bytes) -> None:
        talk, speech, other = self._speeches[sock]
        speech.spoke_at = self._world.now
        if speech.began_at == -inf:
            speech.began_at = speech.spoke_at
        speech.text += data
        speech.sent_bytes += len(data)
        while (end := speech.text.find(b"\n") + 1) > 0:
            line = bytes(speech.text[:end])
            del speech.text[:end]
            if line.startswith(b"#"):
                self._on_line(talk, speech, other, line.decode("ascii", "replace"))

    def on_read(self, sock: Sock, data: bytes) -> None:
        if sock not in self._speeches:
            return  # it was accepted after it had gone
        talk, speech, other = self._speeches[sock]
        now = self._world.now
        speech.read_at = now
        speech.read_bytes += len(data)
        if speech is talk.worker and talk.open_read_at == inf and speech.read_bytes >= talk.open_bytes > 0:
            talk.open_read_at = now
            self._newest[speech.process, talk.instance] = talk
        if speech is talk.worker and talk.beat_read_at == inf and speech.read_bytes >= talk.beat_bytes > 0:
            talk.beat_read_at = now
            if not talk.is_damaged():
                self._distrusting.discard(speech.process)
                self._unsure.discard(speech.process)
        if speech is talk.producer:
            if talk.resume_read_at == inf and speech.read_bytes >= talk.resume_bytes > 0:
                talk.resume_read_at = now
            if other.closed_with == "yield" and speech.read_bytes >= other.closed_bytes and not talk.is_damaged():
                self._yielded[speech.process, talk.worker.machine] = now
            if other.closed_with == "takeover" and speech.read_bytes >= other.closed_bytes and not talk.is_damaged():
                self._taken_over[speech.process.name, talk.worker.machine.name] = now

    # ---- what every line has to be -----------------------------------------------------------------------------------

    def _on_line(self, talk: Talk, speech: Speech, other: Speech, line: str) -> None:
        pairs = dict(_PAIR.findall(line))
        match line.split()[0]:
            case "#open":
                talk.stream, talk.heartbeat = pairs["stream"], float(pairs["heartbeat"])
                talk.instance, talk.name = pairs["instance"], pairs["producer"]
                talk.opened_at, talk.open_bytes = self._world.now, speech.sent_bytes
                self._check_instance(talk)
            case "#wait" if speech is talk.worker:
                talk.asks.append(speech.sent_bytes)
                self._check_ask(talk, pairs)
            case "#wait":
                talk.answers.append(speech.sent_bytes)
                self._check_answer(talk)
            case "#resume":
                self._check_turn(talk, pairs["after"])
                talk.resumed_at, talk.resume_bytes = self._world.now, speech.sent_bytes
                talk.acked_offset = int(pairs["offset"])
                self._check_resume(talk, talk.acked_offset)
            case "#beat" if not talk.beat_bytes:
                talk.beat_bytes = speech.sent_bytes
            case "#ack":
                self._check_ack(talk, int(pairs["offset"]))
                if "t" in pairs:
                    self._check_hand_over(talk)
            case "#close":
                speech.closed_with, speech.closed_bytes = pairs["reason"], speech.sent_bytes
                self._check_close(talk, speech, pairs["reason"])
        if speech is talk.worker:
            talk.last_said, talk.said_at = line, self._world.now

    def _check_instance(self, talk: Talk) -> None:
        """instance: one for each link of a process, for as long as it lives, and unique."""
        link = talk.producer.process, talk.worker.machine.name
        if self._instances.setdefault(link, talk.instance) != talk.instance:
            self._break(talk, "opened with another instance than before: instance")
        if self._links.setdefault(talk.instance, link) != link:
            self._break(talk, "opened with the instance of another link: instance")

    def _check_ask(self, talk: Talk, pairs: dict[str, str]) -> None:
        """asked, ack-means-stored: `by` is the one that serves, if any; `offset` is the last ack of the same stream."""
        process = talk.worker.process
        served, serving = self._served.get(process), self._find_serving(process)
        by, stream, offset = pairs.get("by"), pairs.get("stream"), pairs.get("offset")
        if by is None:
            is_right = serving is None
        else:
            is_right = served is not None and by == served.name and not served.has_left()
        if not is_right:
            self._break(talk, f"asked with by={by} while {served and served.name} serves: asked")
        talk.has_stood_by |= by is not None
        if served is None or served.stream != talk.stream:
            if offset is not None:
                self._break(talk, f"told of the offset {offset} of another stream: asked")
        elif offset is None or int(offset) < served.acked_offset:
            self._break(talk, f"told of the offset {offset} after an ack of {served.acked_offset}: asked")
        elif int(offset) > served.acked_offset:  # an ack that waits to be written
            self._check_durable(talk, int(offset))
        expected = served.stream if by is not None and served is not None and served.stream != talk.stream else None
        if stream != expected:
            self._break(talk, f"told of stream {stream}, and {expected} is served: other-stream")

    def _check_answer(self, talk: Talk) -> None:
        """asked: one answer for each ask that was read, and no more."""
        if len(talk.answers) > sum(end <= talk.producer.read_bytes for end in talk.asks) and not talk.is_damaged():
            self._break(talk, f"{len(talk.answers)} answers to fewer asks: asked")

    def _check_turn(self, talk: Talk, after: str) -> None:
        """promotion, after, other-stream, draining: whose turn it is when none serves."""
        self.promotions[after] += 1
        process = talk.worker.process
        served = self._served.get(process)
        self._handed_over[process] += after == "hand-over"
        has_yielded = served is not None and served.worker.closed_with == "yield"
        expected = "start" if not talk.has_stood_by else "hand-over" if has_yielded else "promotion"
        if after != expected:
            self._break(talk, f"resumed after={after}, and it was {expected}: after")
        if (serving := self._find_serving(process)) is not None:
            self._break(talk, f"resumed while {serving.name} serves: line")
        if process in talk.worker.machine.endings:
            self._break(talk, "promoted by a worker that was told to end: draining")
        self._served[process] = talk
        line = [each for each in self._talks.values() if each.worker.process is process and each.is_waiting()]
        if served is not None and served.stream != talk.stream and any(each.stream == served.stream for each in line):
            self._break(talk, "promoted before one of the stream that was served: other-stream")
        if served is not None and served.is_damaged():  # whether its opening beat held cannot be told
            self._unsure.add(process)
        if served is not None and served.beat_read_at == inf:
            self._distrusting.add(process)
        of_stream = [each for each in line if each.stream == talk.stream]
        if any(each.is_damaged() for each in of_stream):  # nor whether it has answered
            return
        ready = [each for each in of_stream if not each.owes_answer()] or of_stream
        if talk not in ready:
            self._break(talk, "promoted though it owes an answer and others do not: promotion")
        if process in self._unsure:
            pass
        elif process in self._distrusting:
            if any(each.open_read_at < talk.open_read_at for each in ready):
                self._break(talk, "promoted before one that has waited longer: promotion")
        elif any(each.rank() > talk.rank() for each in ready):
            self._break(talk, "promoted before one that ranks higher: promotion")

    def _check_resume(self, talk: Talk, offset: int) -> None:
        """ack-means-stored, open-at-a-beat, born-whole."""
        worker = talk.worker.machine
        assert isinstance(worker, WorkerMachine)
        self._check_durable(talk, offset)
        names = worker.disk.contents(_folder(talk))
        last = max((name for name in names if name.endswith(".numbers")), default="")
        if not re.search(rb"(^|\n)#beat offset=%d crc=[0-9a-f]{8} t=\d+\n\Z" % offset, names.get(last, b"")[-200:]):
            self._break(talk, f"resumed at {offset}, where {last} does not end: open-at-a-beat")
        life = worker.name, worker.lives, talk.stream
        if life not in self._resumed_lives:
            self._resumed_lives.add(life)
            if unborn := [name for name in names if name.endswith(".tmp")]:
                self._break(talk, f"recovery left {unborn}: born-whole")

    def _check_ack(self, talk: Talk, offset: int) -> None:
        """ack-means-stored, ack-in-range."""
        if offset < talk.acked_offset:
            self._break(talk, f"an ack of {offset} after {talk.acked_offset}: ack-in-range")
        talk.acked_offset = offset
        self._check_durable(talk, offset)

    def _check_durable(self, talk: Talk, offset: int) -> None:
        """Whatever a power loss would leave now holds all numbers below `offset`."""
        worker = talk.worker.machine
        assert isinstance(worker, WorkerMachine)
        beat = b"#beat offset=%d crc=" % offset
        for files in worker.disk.images(_folder(talk)) if offset else ():
            for name in sorted(files, reverse=True):
                node = files[name]
                assert isinstance(node, Inode)
                at = node.disk.rfind(beat)
                end = node.disk.find(b"\n", at) + 1
                if at >= 0 and end and node.cache.startswith(node.disk[:end]):
                    break
            else:
                self._break(talk, f"{offset} acknowledged, but not durable: ack-means-stored")
                return

    def _check_close(self, talk: Talk, speech: Speech, reason: str) -> None:
        """close-reasons: none without its cause."""
        if talk.is_damaged():
            return
        others = [each for each in self._talks.values() if each is not talk and each.worker.process is speech.process]
        if reason in DISAGREEMENTS:
            self._break(talk, f"{speech.process.name} says {reason}, and nothing was damaged: close-reasons")
        elif reason == "busy":
            unopened = sum(each.is_unopened() for each in others)
            if unopened < UNOPENED_LIMIT:
                self._break(talk, f"{unopened} others wanted a slot: slots")
        elif reason == "takeover":
            if not any(each.instance == talk.instance and each.open_read_at >= talk.open_read_at for each in others):
                self._break(talk, "no newer connection of this link has come: takeover")
        elif reason == "yield":
            self._check_yield(talk, others)
        elif reason in ("refused", "spare"):
            self._break(talk, f"{reason}, in so small a cluster: line-limit")
        elif reason == "shutdown":
            if speech.process not in speech.machine.endings:
                self._break(talk, f"{speech.process.name} was not told to end: close-reasons")
        elif reason == "timeout":
            self._check_timeout(talk, speech)

    def _check_yield(self, talk: Talk, others: list[Talk]) -> None:
        """hand-over, settle."""
        settle = max(SETTLE_SECONDS, SETTLE_HEARTBEATS * talk.heartbeat) - SLACK
        has_just_acked = talk.said_at == self._world.now and re.fullmatch(r"#ack offset=\d+ t=\d+\n", talk.last_said)
        if not has_just_acked:
            self._break(talk, f"yields {self._world.now - talk.said_at:.3f} s after {talk.last_said!r}: hand-over")
        if self._world.now - talk.resumed_at < settle:
            self._break(talk, f"yields after {self._world.now - talk.resumed_at:.3f} s: settle")
        waiting = [each for each in others if each.is_waiting() and each.stream == talk.stream]
        better = [each for each in waiting if each.rank() > talk.rank() and not each.owes_answer()]
        if not any(self._world.now - each.open_read_at >= settle for each in better):
            self._break(talk, "yields to nobody that is better, answers and has waited: hand-over")

    def _check_hand_over(self, talk: Talk) -> None:
        """hand-over, settle: one that serves does not go on for ever while a better one waits."""
        process = talk.worker.process
        if talk.must_yield:
            self._break(talk, "goes on, and a better one has waited for longer than any SETTLE: hand-over")
        settle = 2.0 ** (1 + self._handed_over[process]) * max(SETTLE_SECONDS, SETTLE_HEARTBEATS * talk.heartbeat)
        since = self._world.now - settle - SLACK
        better = [
            each
            for each in self._talks.values()
            if each.worker.process is process and each.is_waiting() and each.stream == talk.stream
            and each.rank() > talk.rank()
        ]  # fmt: skip
        talk.must_yield = (
            talk.resumed_at < since and process not in talk.worker.machine.endings
            and all(each.open_read_at < since and not each.is_damaged() for each in better)  # the best is one of them
            and any(not each.owes_answer() and each.worker.has_room() for each in better)
        )  # fmt: skip

    def _find_serving(self, process: Process) -> Talk | None:
        """The connection that a worker lets serve now."""
        served = self._served.get(process)
        return served if served is not None and served.worker.is_open() else None

    def _check_timeout(self, talk: Talk, speech: Speech) -> None:
        """silence, handshake-limit, late-timer."""
        since, limit = self._patience(talk, speech)
        if speech is talk.producer and talk.opened_at == inf:
            return  # its limit began before there was a connection
        lateness = self._world.now - since - limit
        if lateness < -SLACK / 100:
            self._break(talk, f"{speech.process.name} gave up {-lateness:.3f} s too soon: silence")
        sock = speech.sock
        has_written = sock.transport is None or not sock.transport.get_write_buffer_size()
        if lateness > talk.heartbeat / 2 + SLACK / 10 and sock.inbox and has_written and limit < inf:
            self._break(talk, f"{speech.process.name} gave up on a peer whose bytes it had not read: late-timer")

    def _patience(self, talk: Talk, speech: Speech) -> tuple[float, float]:
        """From when on, and for how long, this end may hear nothing."""
        silence = SILENCE_HEARTBEATS * talk.heartbeat
        if speech is talk.producer:
            if talk.opened_at == inf:
                return talk.made_at, HANDSHAKE_LIMIT
            return max(speech.read_at, talk.opened_at), silence
        if talk.open_read_at == inf:
            return speech.began_at, HANDSHAKE_LIMIT
        return max(speech.read_at, talk.open_read_at), silence

    # ---- what must be said, and when ---------------------------------------------------------------------------------

    def check(self) -> None:
        """beat-period, ack-once-a-heartbeat, asked, standby-liveness, silence, takeover, draining, backoff."""
        for connection in [each for each in self._talks if self._is_forgotten(each)]:
            del self._talks[connection], self._speeches[connection.client], self._speeches[connection.server]
        for talk in self._talks.values():
            if talk.is_damaged() or talk.worker.closed_with or talk.producer.closed_with:
                continue
            self._check_speech(talk, talk.worker, talk.open_read_at)
            self._check_speech(talk, talk.producer, talk.resume_read_at)
            self._check_patience(talk, talk.worker)
            self._check_patience(talk, talk.producer)
            self._check_answers(talk)
            self._check_succession(talk)
            self._check_draining(talk, talk.worker, talk.is_waiting())
            self._check_draining(talk, talk.producer, talk.opened_at < inf == talk.resume_read_at)
        for producer in self._cluster.producers:
            self._check_dials(producer)
            self._check_yielded(producer)

    def _is_forgotten(self, connection: Connection) -> bool:
        is_held = connection.client.transport is not None or connection.server.transport is not None
        return connection not in self._cluster.network.live and not is_held

    def _check_speech(self, talk: Talk, speech: Speech, begun_at: float) -> None:
        if not self._is_steady(speech) or begun_at == inf or not speech.has_room():
            return
        silence = self._world.now - max(speech.spoke_at, begun_at, speech.machine.steady_from)
        if silence > SPEECH_HEARTBEATS * talk.heartbeat + SLACK:
            self._break(talk, f"{speech.process.name} has said nothing for {silence:.3f} s: ack-once-a-heartbeat")

    def _check_answers(self, talk: Talk) -> None:
        """asked: answers come at once."""
        asked = sum(end <= talk.producer.read_bytes for end in talk.asks)
        is_prompt = self._world.now - talk.producer.read_at < SLACK or not talk.producer.has_room()
        if asked > len(talk.answers) and not is_prompt and self._is_steady(talk.producer):
            self._break(talk, f"{asked} asks and {len(talk.answers)} answers: asked")

    def _check_succession(self, talk: Talk) -> None:
        """instance: the newer connection of a link ends the older one."""
        newest = self._newest.get((talk.worker.process, talk.instance), talk)
        is_older = talk.open_read_at < newest.open_read_at
        if is_older and not newest.is_damaged() and talk.worker.is_open():
            self._break(talk, "is still there, and a newer connection of its link has come: takeover")

    def _check_draining(self, talk: Talk, speech: Speech, waits: bool) -> None:
        """draining: an end that was told to end closes those that wait at once."""
        machine = speech.machine
        has_time = self._world.now - max(machine.told_at, machine.steady_from) > SLACK
        if waits and has_time and speech.process in machine.endings and self._is_steady(speech):
            self._break(talk, f"{speech.process.name} was told to end, and has not left the line: draining")

    def _check_patience(self, talk: Talk, speech: Speech) -> None:
        if not self._is_steady(speech) or (speech is talk.worker and speech.began_at == -inf):
            return
        since, limit = self._patience(talk, speech)
        silence = self._world.now - max(since, speech.machine.steady_from)
        if silence > limit + SLACK:
            self._break(talk, f"{speech.process.name} has waited for {silence:.3f} s: silence")

    def _is_steady(self, speech: Speech) -> bool:
        machine = speech.machine
        return (
            speech.is_open() and speech.process.alive and not machine.is_frozen
            and machine.steady_from < self._world.now
        )  # fmt: skip

    def _check_dials(self, producer: ProducerMachine) -> None:
        """backoff: a restarted process knows nothing of earlier attempts, so each process counts for itself."""
        now, dials = self._world.now, self._dials.setdefault(producer.name, deque())
        dials.append((now, producer.host.dials, producer.process))
        while now - dials[0][0] > DIALS_WINDOW or dials[0][2] is not producer.process:
            dials.popleft()
        if (count := producer.host.dials - dials[0][1]) > MOST_DIALS * len(self._cluster.workers):
            self.broken.append(f"at {now:.3f} s: {producer.name} dialled {count} times in {DIALS_WINDOW} s: backoff")

    def _check_yielded(self, producer: ProducerMachine) -> None:
        """yielded: it joins the line again after the ordinary backoff."""
        cluster, now = self._cluster, self._world.now
        for worker in cluster.workers:
            at = self._yielded.get((producer.process, worker), inf) if producer.process is not None else inf
            if now - at < LONGEST_DELAY + DIAL_SECONDS:
                continue
            if max(cluster.harmed(producer, worker), cluster.harmed(None, worker)) < at and not producer.endings:
                self.broken.append(
                    f"at {now:.3f} s: {producer.name} yielded {worker.name} at {at:.3f} s, and stays away"
                )

    def _break(self, talk: Talk, what: str) -> None:
        self.broken.append(
            f"at {self._world.now:.3f} s: {talk.producer.process.name} > {talk.worker.process.name}: {what}"
        )


def _folder(talk: Talk) -> Path:
    return STORE / f"{talk.worker.machine.name}-{talk.stream}"
