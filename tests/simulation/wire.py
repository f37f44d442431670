"""Wire: reads along what workers and producers write to each other, and holds every line to the protocol's rules.

It judges by what each end has read, not by what was sent; and by the disks, not by what a process thinks of them. Each
method names the rules of `docs/protocol.md` that it holds.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final

from tests.simulation.burial import Outside
from tests.simulation.cluster import Cluster
from tests.simulation.machines import STORE, Machine, ProducerMachine, WorkerMachine
from tests.simulation.network import Connection, Sock
from tests.simulation.world import Process
from tests.store.disk import Inode

from randstream.backoff import FIRST_SUCCESSION
from randstream.protocol import HANDSHAKE_LIMIT, SILENCE_HEARTBEATS

SPEECH_HEARTBEATS: Final = 1.25
"""Both ends say something that often: beats, and acks that are repeated."""
SLACK: Final = 0.1
"""Seconds: a tick of the wheel, and what the loop had to do first."""
DIALS_WINDOW: Final = 10.0
MOST_DIALS: Final = 25
"""Of a link in that time: a dozen while its worker is away, and more when it comes and goes."""
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
    heartbeat: float = 1.0
    opened_at: float = inf
    """When the producer said `#open`, and the worker had read it."""
    open_read_at: float = inf
    open_bytes: int = 0
    resumed_at: float = inf
    resume_read_at: float = inf
    resume_bytes: int = 0
    acked_offset: int = 0

    def is_damaged(self) -> bool:
        """Whether the network may have changed what was said."""
        return bool(self.producer.sock.out.flips or self.worker.sock.out.flips)


class Wire(Outside):
    """Taps a cluster's network. `broken` is what did not hold; `check` wants to be called often."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self.broken: list[str] = []
        self._talks: dict[Connection, Talk] = {}
        self._speeches: dict[Sock, tuple[Talk, Speech, Speech]] = {}
        self._resumed_lives: set[tuple[str, int, str]] = set()
        self._taken_over: dict[tuple[str, str], float] = {}
        self._dials: dict[str, deque[tuple[float, int]]] = {}
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
        if speech is talk.producer:
            if talk.resume_read_at == inf and speech.read_bytes >= talk.resume_bytes > 0:
                talk.resume_read_at = now
            if other.closed_with == "takeover" and speech.read_bytes >= other.closed_bytes and not talk.is_damaged():
                self._taken_over[speech.process.name, talk.worker.machine.name] = now

    # ---- what every line has to be -----------------------------------------------------------------------------------

    def _on_line(self, talk: Talk, speech: Speech, other: Speech, line: str) -> None:
        pairs = dict(_PAIR.findall(line))
        match line.split()[0]:
            case "#open":
                talk.stream, talk.heartbeat = pairs["stream"], float(pairs["heartbeat"])
                talk.opened_at, talk.open_bytes = self._world.now, speech.sent_bytes
            case "#resume":
                talk.resumed_at, talk.resume_bytes = self._world.now, speech.sent_bytes
                talk.acked_offset = int(pairs["offset"])
                self._check_resume(talk, talk.acked_offset)
            case "#ack":
                self._check_ack(talk, int(pairs["offset"]))
            case "#close":
                speech.closed_with, speech.closed_bytes = pairs["reason"], speech.sent_bytes
                self._check_close(talk, speech, pairs["reason"])

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
        """Whatever a power loss now leaves holds all numbers below `offset`."""
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
            self._break(talk, "nobody else wanted a slot: slots")
        elif reason == "takeover":
            if not any(each.stream == talk.stream and each.open_read_at >= talk.open_read_at for each in others):
                self._break(talk, "no newer connection of this stream has come: takeover")
        elif reason == "refused":
            if not any(each.stream not in ("", talk.stream) for each in others):
                self._break(talk, "no connection of another stream lives: other-stream-refused")
        elif reason == "shutdown":
            if speech.process not in speech.machine.endings:
                self._break(talk, f"{speech.process.name} was not told to end: close-reasons")
        elif reason == "timeout":
            self._check_timeout(talk, speech)

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
        if talk.resumed_at == inf:
            return self._world.now, inf
        return max(speech.read_at, talk.resumed_at), silence

    # ---- what must be said, and when ---------------------------------------------------------------------------------

    def check(self) -> None:
        """beat-period, ack-once-a-heartbeat, wait-once-a-heartbeat, silence, backoff."""
        for connection in [each for each in self._talks if self._is_forgotten(each)]:
            del self._talks[connection], self._speeches[connection.client], self._speeches[connection.server]
        for talk in self._talks.values():
            if talk.is_damaged() or talk.worker.closed_with or talk.producer.closed_with:
                continue
            self._check_speech(talk, talk.worker, talk.open_read_at)
            self._check_speech(talk, talk.producer, talk.resume_read_at)
            self._check_patience(talk, talk.worker)
            self._check_patience(talk, talk.producer)
        for producer in self._cluster.producers:
            self._check_dials(producer)

    def _is_forgotten(self, connection: Connection) -> bool:
        is_held = connection.client.transport is not None or connection.server.transport is not None
        return connection not in self._cluster.network.live and not is_held

    def _check_speech(self, talk: Talk, speech: Speech, begun_at: float) -> None:
        if not self._is_steady(speech) or begun_at == inf or not speech.has_room():
            return
        silence = self._world.now - max(speech.spoke_at, begun_at, speech.machine.steady_from)
        if silence > SPEECH_HEARTBEATS * talk.heartbeat + SLACK:
            self._break(talk, f"{speech.process.name} has said nothing for {silence:.3f} s: ack-once-a-heartbeat")

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
        now, dials = self._world.now, self._dials.setdefault(producer.name, deque())
        dials.append((now, producer.host.dials))
        while now - dials[0][0] > DIALS_WINDOW:
            dials.popleft()
        if (count := producer.host.dials - dials[0][1]) > MOST_DIALS * len(self._cluster.workers):
            self.broken.append(f"at {now:.3f} s: {producer.name} dialled {count} times in {DIALS_WINDOW} s: backoff")

    def _break(self, talk: Talk, what: str) -> None:
        self.broken.append(
            f"at {self._world.now:.3f} s: {talk.producer.process.name} > {talk.worker.process.name}: {what}"
        )


def _folder(talk: Talk) -> Path:
    return STORE / f"{talk.worker.machine.name}-{talk.stream}"
