"""A pretend network: both ends of a connection, a stream to send, and models of the drivers and of the sinks.

No loop, no socket, no clock: time is a number, and a step happens when a test says so. The models follow
docs/protocol.md (The line, Sinks), so that the core is tested with the partners it was made for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from hypothesis import HealthCheck, settings

from randstream.errors import Reason, RemoteProtocolError
from randstream.protocol.end import End
from randstream.protocol.events import (
    Acknowledged,
    AskDue,
    Closed,
    Event,
    Greeted,
    Opened,
    Proved,
    Resumed,
    Started,
    Waited,
)
from randstream.protocol.frames import Beat, Lines, Numbers, Open, Resume, Wait
from randstream.protocol.rank import rank
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import State

WORKER: Final = "worker-0"
STREAM: Final = "6ae2a63a0ac05109"
DISTRIBUTION: Final = "integers:1:100"
HELLO: Final = b"#hello randstream/1 worker=worker-0\n"
START: Final = 1000.0
"""Seconds on the pretend clock when a test begins."""


def repeatable(max_examples: int, stateful_step_count: int = 50) -> settings:
    """Hypothesis without randomness, deadlines or a database: the same examples on every machine, however slow."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=max_examples,
        stateful_step_count=stateful_step_count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=quiet,
    )


# ---- a checksum of our own, and lines ------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE: Final = _crc_table()


def reference_crc(data: bytes) -> int:
    """CRC-32C bit by bit as RFC 3720 defines it, to judge the library's."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@functools.cache
def number_line(n: int) -> bytes:
    """Number n of the pretend stream: all shapes occur, and no two near each other are equal."""
    word = (n + 1) * 2654435761 % 4294967291
    match word % 6:
        case 0:
            return b"%d\n" % (word % 10)
        case 1:
            return b"-%d\n" % word
        case 2:
            return b"%d.%d\n" % (word % 1000, word % 9999991)
        case 3:
            return b"-1.%de-%d\n" % (word, word % 300)
        case _:
            return b"%d\n" % (word % 101)


def number_lines(offset: int, count: int) -> bytes:
    """`count` numbers of the pretend stream from `offset` on."""
    return b"".join(number_line(n) for n in range(offset, offset + count))


def beat_line(offset: int, numbers: bytes = b"", t: str = "1") -> bytes:
    return b"#beat offset=%d crc=%08x t=%s\n" % (offset, reference_crc(numbers), t.encode())


def checked(line: str) -> bytes:
    """An `#open` line with its check and LF."""
    return f"{line} check={reference_crc(line.encode()):08x}\n".encode()


def open_line(
    *,
    worker: str = WORKER,
    stream: str = STREAM,
    numbers: str = DISTRIBUTION,
    producer: str = "producer-0",
    heartbeat: str = "1.0",
    instance: str | None = None,
) -> bytes:
    line = f"#open worker={worker} stream={stream} numbers={numbers} producer={producer} heartbeat={heartbeat}"
    return checked(line if instance is None else f"{line} instance={instance}")


# ---- one end, brought to a state by the lines of the specification ---------------------------------------------------


def sent(end: End) -> bytes:
    """Take what `end` has to say now."""
    return b"".join(end.data_to_send())


def a_sender(heartbeat: float = 1.0, now: float = START) -> Sender:
    return Sender(producer="producer-0", heartbeat=heartbeat, now=now)


def an_opened_sender(heartbeat: float = 1.0, now: float = START, first_offset: int = 0) -> Sender:
    sender = a_sender(heartbeat, now)
    assert sender.receive_data(HELLO, now) == [Greeted(WORKER)]
    sender.open(STREAM, DISTRIBUTION, first_offset=first_offset, now=now)
    sent(sender)
    return sender


def a_waiting_sender(heartbeat: float = 1.0, now: float = START, first_offset: int = 0) -> Sender:
    """It has been asked once, and has answered."""
    sender = an_opened_sender(heartbeat, now, first_offset)
    assert sender.receive_data(b"#wait by=producer-1\n", now) == [Waited("producer-1")]
    assert sent(sender) == b"#wait\n"
    return sender


def a_streaming_sender(offset: int = 0, heartbeat: float = 1.0, now: float = START) -> Sender:
    sender = an_opened_sender(heartbeat, now)
    assert sender.receive_data(b"#resume offset=%d\n" % offset, now) == [Resumed(offset)]
    sent(sender)
    return sender


def a_receiver(now: float = START, *, accepts_raw: bool = False) -> Receiver:
    receiver = Receiver(WORKER, now=now, accepts_raw=accepts_raw)
    assert sent(receiver) == HELLO
    return receiver


def an_opened_receiver(heartbeat: str = "1.0", now: float = START) -> Receiver:
    receiver = a_receiver(now)
    (opened,) = receiver.receive_data(open_line(heartbeat=heartbeat), now)
    assert isinstance(opened, Opened)
    return receiver


def an_asking_receiver(period: float = 1.0, heartbeat: str = "1.0", now: float = START) -> Receiver:
    """It has asked once, and has no answer yet."""
    receiver = an_opened_receiver(heartbeat, now)
    receiver.ask(Wait("producer-1"), period, now)
    assert sent(receiver) == b"#wait by=producer-1\n"
    return receiver


def a_resumed_receiver(offset: int | None = 0, heartbeat: str = "1.0", now: float = START) -> Receiver:
    receiver = an_opened_receiver(heartbeat, now)
    receiver.resume(Resume(offset), now)
    sent(receiver)
    return receiver


def a_streaming_receiver(offset: int = 0, heartbeat: str = "1.0", now: float = START) -> Receiver:
    receiver = a_resumed_receiver(offset, heartbeat, now)
    assert receiver.receive_data(beat_line(offset), now) == [Started(offset)]
    sent(receiver)
    return receiver


def ends_in_every_state() -> Iterator[End]:
    """A producer's and a worker's end in each state that it can be in between two calls."""
    yield a_sender()
    greeted = a_sender()
    greeted.receive_data(HELLO, START)
    yield greeted
    yield an_opened_sender()
    asked = an_opened_sender()
    asked.receive_data(b"#wait\n", START)
    yield asked
    yield a_waiting_sender()
    yield a_streaming_sender(1200)
    yield a_receiver()
    yield an_opened_receiver()
    yield an_asking_receiver()
    resumed = an_asking_receiver()
    resumed.resume(Resume(1200, "promotion"), START)
    yield resumed
    yield a_resumed_receiver(1200)
    yield a_resumed_receiver(None)
    yield a_streaming_receiver(1200)
    raw = a_receiver(accepts_raw=True)
    raw.receive_data(b"1\n", START)
    yield raw
    for end in (a_streaming_sender(), a_streaming_receiver()):
        end.close(Reason.SHUTDOWN)
        yield end


def reason_of_close(events: list[Event]) -> Reason:
    """Why the last of `events` closed the connection."""
    assert isinstance(events[-1], Closed), events
    reason: Reason = events[-1].error.reason
    return reason


# ---- sinks ---------------------------------------------------------------------------------------------------------


class RevocableSink:
    """A store: takes numbers at the beat that proves them; its offset is its last commit."""

    def __init__(self) -> None:
        self.stored = bytearray()
        self.offset = 0
        self.is_committing = False
        self._proven: list[tuple[int, bytes]] = []
        self._committing: list[tuple[int, bytes]] = []
        self._unproven: list[Lines] = []

    @property
    def expected(self) -> bytes:
        return number_lines(0, self.offset)

    def open(self, stream: str) -> int | None:
        assert not self.is_committing, "no #resume while a commit runs"
        self._proven, self._unproven = [], []
        return self.offset

    def begin(self, offset: int) -> None:
        raise AssertionError("a store always names the offset")

    def append(self, numbers: Numbers) -> None:
        self._unproven.append(numbers.lines)

    def prove(self, beat: Beat) -> None:
        self._proven.append((beat.offset, b"".join(self._unproven)))
        self._unproven = []

    def rewind(self) -> None:
        self._unproven = []

    def begin_commit(self) -> None:
        if not self.is_committing:
            self._committing, self._proven = self._proven, []
            self.is_committing = True

    def end_commit(self) -> int:
        if self.is_committing:
            for offset, run in self._committing:
                self.stored += run
                self.offset = offset
            self.is_committing = False
        return self.offset

    def fail_commit(self) -> None:
        """The disk fails: what was to be written waits for the next commit."""
        if self.is_committing:
            self._proven = self._committing + self._proven
            self.is_committing = False

    def die(self, intervals_on_disk: int) -> None:
        """The process is killed; recovery finds as many intervals of the running commit as reached the disk."""
        if self.is_committing:
            self._committing = self._committing[:intervals_on_disk]
            self.end_commit()
        self._proven, self._unproven = [], []


class ImmediateSink:
    """A pipe: takes numbers on arrival, of the stream that opened last, and remembers where that began."""

    is_committing = False

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.stored = bytearray()
        self.offset = 0
        self._first = 0
        self._stream: str | None = None
        self._offered = ""

    @property
    def expected(self) -> bytes:
        return number_lines(self._first, self.offset - self._first)

    def open(self, stream: str) -> int | None:
        self._offered = stream
        return self.offset if stream == self._stream else None

    def begin(self, offset: int) -> None:
        self._stream = self._offered
        self._first = self.offset = offset
        self.stored = bytearray()

    def append(self, numbers: Numbers) -> None:
        self.stored += numbers.lines
        self.offset += numbers.count

    def prove(self, beat: Beat) -> None:
        pass

    def rewind(self) -> None:
        raise AssertionError("nothing was damaged")

    def begin_commit(self) -> None:
        pass

    def end_commit(self) -> int:
        return self.offset

    def fail_commit(self) -> None:
        pass

    def die(self, intervals_on_disk: int) -> None:
        self._forget()


Sink = RevocableSink | ImmediateSink


# ---- drivers -------------------------------------------------------------------------------------------------------


class WorkerModel:
    """A worker's driver: a line of connections, one of which serves, and one commit at a time.

    It never asks whose numbers come.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.is_held_up = False
        """Whether the sink takes its time to open: nobody is promoted."""
        self._serving: Receiver | None = None
        self._waiting: list[Receiver] = []
        self._offers: dict[Receiver, Open] = {}
        self._was_told_to_wait: set[Receiver] = set()
        self._is_adopting = False

    def accept(self, now: float) -> Receiver:
        return Receiver(WORKER, now=now)

    def handle(self, receiver: Receiver, events: list[Event], now: float) -> None:
        for event in events:
            match event:
                case Opened(offered):
                    self._join(receiver, offered, now)
                case AskDue():
                    self._ask(receiver, now)
                case Started(offset):
                    if self._is_adopting:
                        self.sink.begin(offset)
                case Numbers():
                    self.sink.append(event)
                case Proved(beat):
                    self.sink.prove(beat)
                case Closed(error):
                    self.lose(receiver, error, now)
                case _:
                    raise AssertionError(f"a receiver reports {event}")

    def end_commit(self, now: float) -> None:
        offset = self.sink.end_commit()
        if self._serving is not None:
            self._serving.acknowledge(offset, now)
        self.promote(now)

    def fail_commit(self, now: float) -> None:
        self.sink.fail_commit()
        self.promote(now)

    def hand_over(self, now: float) -> None:
        """The one that serves yields to one that waits."""
        if self._serving is not None and self._serving.state is State.STREAMING and self._waiting:
            self._end(self._serving, Reason.YIELD, now)

    def lose(self, receiver: Receiver, error: Exception | None, now: float) -> None:
        """A connection is gone."""
        if receiver in self._waiting:
            self._waiting.remove(receiver)
        if self._serving is receiver:
            self._serving = None
            if isinstance(error, RemoteProtocolError):
                self.sink.rewind()
        self.promote(now)

    def promote(self, now: float) -> None:
        """Let one that waits serve, if none does and the sink can tell where the stream stands."""
        if self._serving is not None or not self._waiting or self.sink.is_committing or self.is_held_up:
            return
        ready = [receiver for receiver in self._waiting if not receiver.owed_answers] or self._waiting
        best = max(ready, key=lambda receiver: rank(WORKER, self._offers[receiver].producer))
        self._waiting.remove(best)
        self._serving = best
        offset = self.sink.open(self._offers[best].stream)
        self._is_adopting = offset is None
        best.resume(Resume(offset, "promotion" if best in self._was_told_to_wait else "start"), now)

    def _join(self, receiver: Receiver, offered: Open, now: float) -> None:
        if receiver.state is State.CLOSED:
            return  # it said `#open` and `#close` in one breath
        for other in (*self._waiting, self._serving):
            if other is not None and self._offers[other].instance == offered.instance:
                self._end(other, Reason.TAKEOVER, now)
        self._waiting.append(receiver)
        self._offers[receiver] = offered
        if self._serving is not None:
            self._ask(receiver, now)
        self.promote(now)

    def _ask(self, receiver: Receiver, now: float) -> None:
        serving = self._serving
        period = receiver.heartbeat
        if serving is None:
            receiver.ask(Wait(), period, now)
        else:
            wait = Wait(self._offers[serving].producer, serving.acked_offset)
            receiver.ask(wait, min(period, serving.heartbeat), now)
            self._was_told_to_wait.add(receiver)

    def _end(self, receiver: Receiver, reason: Reason, now: float) -> None:
        receiver.close(reason)
        self.lose(receiver, None, now)


class ProducerModel:
    """A producer's driver: it knows the seed, and what was acked in its own life."""

    def __init__(self, heartbeat: float, number: int = 0) -> None:
        self.heartbeat = heartbeat
        self._name = f"producer-{number % 3}"
        self._instance = f"{number:016x}"
        self.acked_offset = 0
        self.waits = 0

    def dial(self, now: float) -> Sender:
        return Sender(producer=self._name, heartbeat=self.heartbeat, now=now, instance=self._instance)

    def handle(self, sender: Sender, events: list[Event], now: float) -> None:
        for event in events:
            match event:
                case Greeted():
                    sender.open(STREAM, DISTRIBUTION, first_offset=self.acked_offset, now=now)
                case Waited(_, offset):
                    self.waits += 1
                    self.acked_offset = max(self.acked_offset, offset or 0)
                case Resumed() | Closed():
                    pass
                case Acknowledged(offset):
                    self.acked_offset = max(self.acked_offset, offset)
                case _:
                    raise AssertionError(f"a sender reports {event}")

    def send(self, sender: Sender, count: int, now: float) -> None:
        run = number_lines(sender.offset, count)
        if sender.state is State.STREAMING and len(run) <= sender.room:
            sender.send_numbers(run, count, now)


class Wire:
    """One connection: an end at each side, and what is under way between them."""

    def __init__(self, producer: ProducerModel, sender: Sender, receiver: Receiver) -> None:
        self.producer = producer
        self.sender = sender
        self.receiver = receiver
        self.to_worker = bytearray()
        self.to_producer = bytearray()
        self.has_producer = True
        self.has_worker = True

    def fill(self) -> None:
        """Write what the ends have to say; a worker writes only when its last words are on their way."""
        if self.has_producer:
            self.to_worker += sent(self.sender)
        if not self.to_producer:
            self.write_more()

    def write_more(self) -> None:
        """Write what the worker has to say, though what it said before is still under way."""
        if self.has_worker:
            self.to_producer += sent(self.receiver)


class World:
    """Producers, a worker, and every connection between them that either still believes in."""

    def __init__(self, sink: Sink, heartbeat: float = 1.0, now: float = START) -> None:
        self.now = now
        self.worker = WorkerModel(sink)
        self.producer = ProducerModel(heartbeat)
        self._producers = 1
        self.wires: list[Wire] = []

    @property
    def sink(self) -> Sink:
        return self.worker.sink

    def dial(self, *, is_second: bool = False) -> Wire:
        """Dial again. The producer has given up its connection, and the worker does not know yet; or this
        is a second producer, and the first is still there."""
        if is_second:
            self._make_producer(self._producers)
        for wire in self.wires:
            wire.has_producer = wire.has_producer and is_second
        for wire in self.wires[:-3]:
            self.cut(wire)
        self.wires = [wire for wire in self.wires if wire.has_worker]
        self.wires.append(Wire(self.producer, self.producer.dial(self.now), self.worker.accept(self.now)))
        return self.wires[-1]

    def cut(self, wire: Wire) -> None:
        """Both ends hear at once that the connection is gone."""
        if wire.has_worker:
            self.worker.lose(wire.receiver, None, self.now)
        wire.has_worker = wire.has_producer = False

    def send(self, count: int) -> None:
        for wire in self.wires:
            if wire.has_producer:
                wire.producer.send(wire.sender, count, self.now)

    def deliver_to_worker(self, wire: Wire, size: int) -> None:
        wire.fill()
        data = bytes(wire.to_worker[:size])
        del wire.to_worker[:size]
        if data and wire.has_worker:
            self.worker.handle(wire.receiver, wire.receiver.receive_data(data, self.now), self.now)

    def deliver_to_producer(self, wire: Wire, size: int) -> None:
        wire.fill()
        data = bytes(wire.to_producer[:size])
        del wire.to_producer[:size]
        if data and wire.has_producer:
            wire.producer.handle(wire.sender, wire.sender.receive_data(data, self.now), self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, then serve every timer that is due, as a loop would."""
        self.now += seconds
        for wire in self.wires:
            if wire.has_producer and wire.sender.deadline <= self.now:
                wire.producer.handle(wire.sender, wire.sender.handle_timer(self.now), self.now)
                assert wire.sender.deadline > self.now
            if wire.has_worker and wire.receiver.deadline <= self.now:
                self.worker.handle(wire.receiver, wire.receiver.handle_timer(self.now), self.now)
                assert wire.receiver.deadline > self.now

    def restart_producer(self) -> None:
        """The one that dialled last, with the same name and an instance of its own."""
        self._make_producer(self._producers - 1 + 3)
        self.dial()

    def _make_producer(self, number: int) -> None:
        self.producer = ProducerModel(self.producer.heartbeat, number)
        self._producers = number + 1

    def restart_worker(self, intervals_on_disk: int) -> None:
        for wire in self.wires:
            wire.has_worker = False
        self.sink.die(intervals_on_disk)
        self.worker = WorkerModel(self.sink)

    def settle(self) -> None:
        """Let everything under way arrive, commits included, until no end has anything to say."""
        self.worker.is_held_up = False
        self.worker.end_commit(self.now)
        while True:
            for wire in self.wires:
                self.deliver_to_worker(wire, 2**30)
                self.deliver_to_producer(wire, 2**30)
            self.sink.begin_commit()
            self.worker.end_commit(self.now)
            for wire in self.wires:
                wire.fill()
            if not any(wire.to_worker or wire.to_producer for wire in self.wires):
                return
