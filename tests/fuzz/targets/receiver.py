"""Receiver: any life of a receiving end."""

from __future__ import annotations

from tests.protocol.network import START, WORKER, open_line

from randstream.errors import Reason
from randstream.protocol import MAX_CONTROL_LINE_BYTES
from randstream.protocol.events import AskDue, Closed, Event, Proved, Started
from randstream.protocol.frames import Ack, Numbers, Resume, Wait, crc32c, encode, parse_control_line
from randstream.protocol.receiver import Receiver
from randstream.protocol.states import State


class Judge:
    """Watches a receiver: what it proves is what its peer has sent, what it acks has been proved, and as many answers
    are owed as it has asked."""

    def __init__(self) -> None:
        self.receiver = Receiver(WORKER, now=START, accepts_raw=True)
        self.now = START
        self.offset = 0
        self.run = b""
        self.proved: set[int] = set()
        self.acked = 0
        self.asked = 0
        self.is_over = False

    def receive(self, data: bytes, owes_rest: int | None = None) -> None:
        events = self.receiver.receive_data(data, self.now)
        if self.receiver.state is not State.CLOSED:
            assert 0 <= self.receiver.owed_answers <= (self.asked if owes_rest is None else owes_rest)
            assert not self.receiver.is_started or not self.receiver.owed_answers
            self.asked = self.receiver.owed_answers
        self.hear(events)

    def hear(self, events: list[Event]) -> None:
        for event in events:
            assert not self.is_over
            match event:
                case Numbers(run, count):
                    self.run += run
                    self.offset += count
                case Started(offset):
                    self.run, self.offset = b"", offset
                    self.proved.add(offset)
                case Proved(beat):
                    assert (beat.offset, beat.crc) == (self.offset, crc32c(self.run))
                    self.run = b""
                    self.proved.add(beat.offset)
                case AskDue():
                    assert self.receiver.state is State.WAITING
                    self.ask(1.0)
                case Closed():
                    self.is_over = True
        self.read_answers()

    def ask(self, period: float) -> None:
        """Ask, and do not write that yet."""
        self.receiver.ask(Wait("producer-1", self.offset), period, self.now)

    def read_answers(self) -> None:
        for line in b"".join(self.receiver.data_to_send()).splitlines(keepends=True):
            assert line.endswith(b"\n")
            assert len(line) <= MAX_CONTROL_LINE_BYTES
            if line.startswith(b"# line "):  # what a raw peer is told before the end
                assert line[:-1].decode("ascii").isprintable()
                assert self.receiver.state is State.CLOSED
                assert self.receiver.offset is None
                continue
            frame = parse_control_line(line[:-1])
            if isinstance(frame, Ack):
                assert frame.offset >= self.acked
                assert frame.offset in self.proved or frame.offset == self.acked
                self.acked = frame.offset
            self.asked += isinstance(frame, Wait)
        assert self.receiver.owed_answers == self.asked or self.receiver.state is State.CLOSED

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.receiver.deadline <= self.now:
            self.hear(self.receiver.handle_timer(self.now))
            assert self.receiver.deadline > self.now


def fuzz_receiver(data: bytes) -> None:
    """A life of a receiver: two bytes a step, what and how much; what else is needed follows them."""
    judge = Judge()
    receiver = judge.receiver
    judge.read_answers()
    at = 0
    while at + 1 < len(data):
        what, much = data[at] % 12, data[at + 1]
        at += 2
        match what:
            case 0:
                judge.receive(data[at : at + much])
                at += much
            case 1:
                judge.receive(open_line(heartbeat=f"{1 + much % 60}.0"))
            case 2 if receiver.state is State.WAITING:
                offset = None if much == 255 else much
                judge.offset = judge.acked = offset or 0
                receiver.resume(Resume(offset, "promotion" if much % 2 else None), judge.now)
                judge.read_answers()
            case 3:
                judge.receive(b"%d\n" % much * (much + 1))
            case 4:
                judge.receive(b"#beat offset=%d crc=%08x t=%d\n" % (judge.offset, crc32c(judge.run), much))
            case 5:
                judge.wait(much / 20)
            case 6:
                receiver.acknowledge(max(0, judge.offset - much), judge.now)
                judge.read_answers()
            case 7 if receiver.state in (State.WAITING, State.CLOSED):
                judge.ask((1 + much % 60) / 20)
                if much < 200:
                    judge.read_answers()
            case 8 if much == 0:
                receiver.close(Reason.SHUTDOWN)
                judge.is_over = True
                judge.read_answers()
            case 9:
                judge.receive(b"#beat offset=%d crc=%08x t=1\n" % (judge.offset + much, crc32c(judge.run)))
            case 10:
                judge.receive(encode(Wait()) * receiver.owed_answers, owes_rest=0)
            case 11:
                judge.receive(encode(Wait()) * (much % 4))
            case _:
                pass
    assert receiver.state is State.CLOSED or not judge.is_over
