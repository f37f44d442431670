"""Line: a worker, the producers in its line, and a second reading of docs/protocol.md (The line) that watches them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

from tests.fuzz.loop import Loop, LoopClock, Wire
from tests.fuzz.tape import Tape

from randstream.errors import OfferError, Reason, SinkError
from randstream.protocol.frames import Ack, Beat, Close, Hello, Open, Resume, Wait, crc32c, encode, parse_control_line
from randstream.protocol.rank import rank
from randstream.settings import WorkerSettings
from randstream.sinks.immediate import ImmediateSink
from randstream.worker.admission import Guest
from randstream.worker.worker import Worker

WORKER: Final = "worker-0"
PRODUCERS: Final = ("producer-0", "producer-1", "producer-2", "producer-3")
OFFERS: Final = (("a" * 16, "bits64"), ("b" * 16, "bits64"), ("a" * 16, "normal:0:1"), ("a" * 16, "bits64"))
HEARTBEATS: Final = (1.0, 2.0, 5.0, 0.5)
INSTANCES: Final = (None, "1" * 16, "2" * 16, None)
SLOTS: Final = 24
STEPS: Final = 100
SECONDS: Final = 1000.0
"""What a life may last: honest producers that say a word a second are slow to play."""
WAITS: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 10.0, 25.0, 120.0)
HANDSHAKE: Final = 5.0
LINE_LIMIT: Final = 16
LINGER: Final = 1.0
LATE: Final = 0.02
"""Seconds that the timer wheel may take."""
SETTINGS: Final = WorkerSettings(name=WORKER, listen="127.0.0.1:0", discard=True, accept_raw=True, grace_period=5.0)


class Fixed(Random):
    """Draws the same part of each range."""

    def __init__(self, part: float) -> None:
        super().__init__(0)
        self.part = part

    def uniform(self, a: float, b: float) -> float:
        return a + self.part * (b - a)


class Vault(ImmediateSink):
    """Remembers where each stream stands. It opens and commits when it is told to, and fails when it is told to."""

    def __init__(self, loop: Loop, *, is_immediate: bool) -> None:
        super().__init__()
        self.loop = loop
        self.is_immediate = is_immediate
        self.held: dict[tuple[str, str], int] = {}
        self.is_shut = False
        self.trouble: Exception | None = None
        self.may_go_on = asyncio.Event()
        self.quiet_since = loop.time()
        """Since when it has been in order."""

    def set_trouble(self, trouble: Exception | None) -> None:
        self.trouble = trouble
        self.quiet_since = self.loop.time()

    def set_shut(self, is_shut: bool) -> None:
        self.is_shut = is_shut
        self.quiet_since = self.loop.time()
        if not is_shut:
            self.may_go_on.set()
            self.may_go_on = asyncio.Event()

    async def open(self, offered: Open) -> int | None:
        await self._answer()
        self._offered = offered
        self._offset = self._proven_offset = self.held.get(kind_of(offered), 0)
        return self.held.get(kind_of(offered))

    def prove(self, beat: Beat) -> bool:
        super().prove(beat)
        return self.is_immediate and not self.is_shut

    async def commit(self) -> int:
        await self._answer(is_commit=True)
        if self._offered is not None:
            self.held[kind_of(self._offered)] = self._proven_offset
        return self._proven_offset

    async def _answer(self, *, is_commit: bool = False) -> None:
        while self.is_shut:
            await self.may_go_on.wait()
        if self.trouble is not None and not (is_commit and isinstance(self.trouble, OfferError)):
            raise self.trouble


class NeedsPerson(SinkError):
    needs_person = True


def kind_of(offered: Open) -> tuple[str, str]:
    return offered.stream, offered.numbers


@dataclass(eq=False)
class Peer:
    """A connection to the worker: what it has said, and what it was told."""

    wire: Wire
    heard_at: float
    is_honest: bool
    offered: Open | None = None
    state: str = "new"
    """`new`, `waiting`, `serving`, `raw` or `over`."""
    joined_at: float = 0.0
    asked_at: float = 0.0
    owed: int = 0
    has_stood_by: bool = False
    resume: Resume | None = None
    is_started: bool = False
    acks: int = 0
    offset: int = 0
    served_since: float = 0.0
    settle: float | None = None
    """By which it was handed the stream, if it was."""
    is_gone: bool = False
    """Whether it has ended its connection itself."""
    was_told: bool = False
    """Whether it was told that it is over."""
    owed_yield: bool = False

    @property
    def score(self) -> tuple[int, str]:
        assert self.offered is not None
        return rank(WORKER, self.offered.producer), self.offered.instance or ""


class _Server:
    """The sockets on which nobody calls."""

    def __init__(self) -> None:
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 9000

    async def start_serving(self) -> None: ...
    def close(self) -> None: ...


class _Streams(asyncio.Protocol):
    """What asyncio gives a connection before it is taken over."""


class Deaf(Worker):
    """A worker without sockets: `accept` is a connection."""

    async def _bind(self) -> list[asyncio.Server]:
        return cast("list[asyncio.Server]", [_Server()])

    def accept(self, wire: Wire) -> Guest:
        """The session that it gets."""
        writer: Any = SimpleNamespace(transport=wire, get_extra_info=wire.get_extra_info)
        self._accept(cast("asyncio.StreamReader", None), writer)
        return next(reversed(self.admission.present))


class Judge:
    """Reads what the worker writes, when it does, and holds it to the rules."""

    def __init__(self, loop: Loop, part: float, *, is_immediate: bool) -> None:
        self.loop = loop
        self.vault = Vault(loop, is_immediate=is_immediate)
        self.patience = 1.0 + part
        self.worker = Deaf(SETTINGS, self.vault, clock=LoopClock(loop), random=Fixed(part))
        self.peers: dict[int, Peer] = {}
        self.all: list[Peer] = []
        self.line: list[Peer] = []
        """Whoever waits, in the order in which they came."""
        self.serving: Peer | None = None
        self.served: Open | None = None
        self.yielded: float | None = None
        """The SETTLE of a hand-over that is under way."""
        self.trusts_rank = True
        self.doublings = 0
        self.is_stopping = False
        self.had_trouble = False
        self.is_blurred = False
        """Whether somebody is deaf: what the worker has not written yet is known to nobody else."""
        self.failure: AssertionError | None = None
        """What was wrong first."""
        self.sessions: dict[object, Peer] = {}
        self._leave = self.worker.line.leave
        cast("Any", self.worker.line).leave = self.leave

    def leave(self, guest: object, reason: Reason, now: float) -> bool:
        """The worker calls a session over. It says so a moment later."""
        try:
            self.over(self.sessions.pop(guest), reason)
        except AssertionError as error:
            self.failure = self.failure or error
        return self._leave(guest, reason, now)

    # ---- what the worker does ----------------------------------------------------------------------------------------

    def hear(self, peer: Peer, data: bytes) -> None:
        """Bytes for `peer`. After the end comes one write, and `#close` is its last line."""
        lines = data.splitlines(keepends=True)
        try:
            assert not peer.is_gone, f"spoken to after it has gone: {data!r}"
            assert not peer.was_told, f"spoken to after #close: {data!r}"
            assert peer.state != "over" or lines[-1].startswith(b"#close "), f"spoken to after its end: {data!r}"
            for line in lines:
                assert line.endswith(b"\n")
                if not line.startswith(b"# line "):  # a raw peer is told before the end
                    self.judge(peer, parse_control_line(line[:-1]))
        except AssertionError as error:  # not to be taken for the worker's own
            self.failure = self.failure or error

    def judge(self, peer: Peer, frame: object) -> None:
        now = self.loop.time()
        match frame:
            case Ack() | Wait() if peer.state == "over":
                pass  # it was said before
            case Hello():
                assert peer.state == "new"
            case Wait(by):
                assert peer in self.line
                if not self.is_blurred:
                    assert by == (self.serving and self.serving.offered and self.serving.offered.producer)
                peer.has_stood_by |= by is not None
                peer.owed += 1
                peer.asked_at = now
                self.reply(peer, self.answer)
            case Resume():
                self.judge_turn(peer, frame, now)
                self.reply(peer, self.begin)
            case Ack(offset, t):
                assert peer is self.serving
                assert offset <= peer.offset
                peer.acks += 1
                if not peer.is_started:
                    peer.is_started = self.trusts_rank = True
                elif t is not None and not self.is_stopping:
                    peer.owed_yield = self.must_yield(peer, now) is not None
            case Close(reason):
                assert peer.state == "over", f"told {reason}, and kept"
                peer.was_told = True

    def judge_turn(self, peer: Peer, resume: Resume, now: float) -> None:
        """One of the line is to serve. Was it its turn?"""
        assert self.serving is None, "two serve"
        assert peer in self.line, "one serves that is not in line"
        assert peer.offered is not None
        assert not self.is_stopping, "a worker that drains promotes nobody"
        if not self.is_blurred:
            self.judge_choice(peer, resume)
        self.line.remove(peer)
        self.serving, self.served = peer, peer.offered
        peer.state, peer.resume, peer.served_since = "serving", resume, now
        peer.offset = resume.offset or 0
        peer.settle = self.yielded if resume.after == "hand-over" else None
        self.yielded = None

    def judge_choice(self, peer: Peer, resume: Resume) -> None:
        assert peer.offered is not None
        kind = kind_of(peer.offered)
        rivals = [each for each in self.line if each.offered and kind_of(each.offered) == kind]
        if self.served is not None and not self.had_trouble and kind != kind_of(self.served):
            assert all(each.offered and kind_of(each.offered) != kind_of(self.served) for each in self.line)
        ready = [each for each in rivals if not each.owed] or rivals
        if self.trusts_rank:
            assert peer.score == max(each.score for each in ready), "not the best of those that answer"
        else:
            assert peer is ready[0], "not the one that has waited longest"
        after = "start" if not peer.has_stood_by else "promotion" if self.yielded is None else "hand-over"
        assert resume.after == after
        assert resume.offset == self.vault.held.get(kind)

    def must_yield(self, serving: Peer, now: float) -> float | None:
        """The SETTLE that is over, if a better one of the line has waited for it."""
        assert serving.offered is not None
        kind = kind_of(serving.offered)
        rivals = [each for each in self.line if each.offered and kind_of(each.offered) == kind and not each.owed]
        best = max(rivals, key=lambda each: each.score, default=serving)
        if best.score <= serving.score:
            return None
        if serving.settle is not None and now - serving.served_since >= 10 * serving.settle:
            self.doublings = 0
        assert best.offered is not None
        usual = max(10.0, 10 * max(serving.offered.heartbeat, best.offered.heartbeat))
        settle = min(usual * 2**self.doublings, 3600.0) * self.patience
        return settle if now - best.joined_at >= settle and now - serving.served_since >= settle else None

    def over(self, peer: Peer, reason: Reason) -> None:
        """The worker ends it, or has noticed that it has ended."""
        now = self.loop.time()
        if reason is Reason.YIELD and not self.is_blurred:
            assert peer is self.serving
            self.yielded = self.must_yield(peer, now)
            assert self.yielded is not None, "a hand-over that no rule asks for"
        if peer in self.line:
            self.line.remove(peer)
        if reason is Reason.SPARE:
            assert len(self.line) + (self.serving is not None) >= LINE_LIMIT
        if peer is self.serving:
            self.serving = None
            self.trusts_rank &= peer.is_started
            if peer.settle is not None:
                if now - peer.served_since >= 10 * peer.settle:
                    self.doublings = 0
                elif reason not in (Reason.SHUTDOWN, Reason.YIELD):
                    self.doublings = min(self.doublings + 1, 9)
        peer.state = "over"

    # ---- what the producers do ---------------------------------------------------------------------------------------

    def connect(self, slot: int, much: int, *, is_honest: bool, opens: bool = True) -> None:
        if slot in self.peers and self.peers[slot].state != "over":
            return
        wire = Wire(self.loop, _Streams())
        peer = self.peers[slot] = Peer(wire, self.loop.time(), is_honest)
        self.all.append(peer)
        wire.on_write = lambda data: self.hear(peer, data)  # the greeting is on its way before there is a session
        self.sessions[self.worker.accept(wire)] = peer
        if opens:
            stream, numbers = OFFERS[much // 4 % 4]
            heartbeat, instance = HEARTBEATS[much // 16 % 4], INSTANCES[much // 64]
            self.open(peer, Open(WORKER, stream, numbers, PRODUCERS[much % 4], heartbeat, instance))

    def open(self, peer: Peer, offered: Open) -> None:
        if peer.state != "new":
            return
        peer.offered = offered
        peer.joined_at = peer.asked_at = self.loop.time()
        peer.state = "waiting"
        self.line.append(peer)
        self.say(peer, encode(offered))

    def say(self, peer: Peer, data: bytes) -> None:
        if peer.state != "over":
            peer.heard_at = self.loop.time()
            peer.wire.send(data)

    def reply(self, peer: Peer, do: Any) -> None:
        if peer.is_honest and not peer.wire.is_deaf:
            self.loop.call_soon(do, peer)

    def answer(self, peer: Peer, count: int = 1) -> None:
        """Answer so many asks."""
        if peer.state in ("waiting", "serving") and not peer.is_started:
            for _ in range(count):
                peer.owed -= 1
                self.say(peer, encode(Wait()))

    def begin(self, peer: Peer, offset: int = 0) -> None:
        """Say the opening beat, and if it is honest, more of them."""
        if peer.state != "serving" or peer.is_started or peer.resume is None:
            return
        peer.offset = offset if peer.resume.offset is None else peer.resume.offset
        self.say(peer, encode(Beat(peer.offset, 0, "1")))
        self.go_on(peer)

    def go_on(self, peer: Peer) -> None:
        if peer.is_honest and peer.state == "serving" and peer.offered and not peer.wire.is_deaf:
            self.loop.call_later(peer.offered.heartbeat, self.beat_on, peer)

    def beat_on(self, peer: Peer) -> None:
        self.beat(peer, 1)
        self.go_on(peer)

    def beat(self, peer: Peer, count: int) -> None:
        if peer.state == "serving" and peer.is_started:
            run = b"1\n" * count
            peer.offset += count
            self.say(peer, run + encode(Beat(peer.offset, crc32c(run), "2")))

    def end(self, peer: Peer, how: int) -> None:
        if peer.state == "over":
            return
        if how % 4 == 3:
            self.say(peer, b"#garbage\n")
            return
        peer.is_gone = True
        if how % 4 == 0 or not peer.wire.is_reading():
            peer.wire.lose(ConnectionResetError("cut"))
        elif how % 4 == 1:
            peer.wire.end()
        else:
            self.say(peer, encode(Close(Reason.SHUTDOWN)))

    # ---- what always holds -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing happens any more at this moment."""
        if self.failure is not None:
            raise self.failure
        now, line = self.loop.time(), self.worker.line
        for peer in self.all:
            assert peer.state == "over" or not (peer.is_gone or peer.wire.is_closing()), "it has gone unnoticed"
        self.all = [peer for peer in self.all if peer.state != "over"]
        assert len(self.line) + (self.serving is not None) <= LINE_LIMIT
        assert len(line.waiting) + (line.serving is not None) <= LINE_LIMIT
        if not self.is_blurred:
            assert len(line.waiting) == len(self.line)
            assert (line.serving is None) == (self.serving is None)
        for peer in self.all:
            assert self.is_blurred or not peer.owed_yield, "a better one has waited for long enough"
            if peer.state == "raw":
                continue
            if peer.offered is None:
                assert now - peer.heard_at <= HANDSHAKE + LATE
                continue
            assert now - peer.heard_at <= 3 * peer.offered.heartbeat + LATE, "it waits past its deadline"
            if peer.state == "waiting" and not peer.wire.is_deaf:
                assert now - peer.asked_at <= peer.offered.heartbeat + LATE, "it is not asked"
        is_well = not self.vault.is_shut and self.vault.trouble is None and now - self.vault.quiet_since > 1.0
        if is_well and self.line and line.raw is None and not self.is_stopping:
            assert line.serving is not None, "nobody serves"


def fuzz_line(data: bytes) -> None:
    """A life of a worker: three bytes a step, what, who and how much."""
    tape = Tape(data)
    loop = Loop()
    with loop.running():
        first = tape.byte()
        judge = Judge(loop, first // 2 % 4 / 4, is_immediate=first % 2 == 0)
        running = loop.create_task(judge.worker.run())
        loop.turn_over()
        tasks = len(asyncio.all_tasks(loop))
        seconds = 0.0
        for _ in range(STEPS):
            if tape.is_over or running.done():
                break
            what, who, much = tape.byte(), tape.byte(), tape.byte()
            slot = who % 32 % SLOTS
            peer = judge.peers.get(slot)
            match what % 16:
                case 0 | 1 | 2:
                    judge.connect(slot, much, is_honest=who < 128)
                case 3:
                    judge.connect(slot, much, is_honest=False, opens=False)
                case 4 if peer and peer.owed:
                    judge.answer(peer, max(1, min(peer.owed, much)))
                case 5 if peer:
                    judge.begin(peer, much)
                case 6 if peer:
                    judge.beat(peer, much)
                case 7 if peer:
                    judge.end(peer, much)
                case 8 | 9 | 10:
                    wait = WAITS[much % len(WAITS)]
                    seconds += wait
                    if seconds < SECONDS:
                        loop.advance(wait)
                case 11:
                    judge.vault.set_shut(much % 2 == 1)
                case 12:
                    judge.had_trouble |= much % 4 > 1
                    troubles = (None, SinkError("full"), NeedsPerson("damaged"), OfferError("another"))
                    judge.vault.set_trouble(troubles[much % 4])
                case 13 if peer:
                    if much % 2:
                        peer.wire.is_deaf = judge.is_blurred = True
                    else:
                        peer.wire.hear()
                case 14 if peer and peer.state in ("new", "raw"):
                    judge.say(peer, b"%d\n" % much)
                    peer.state = peer.state if peer.state == "over" else "raw"
                case 15 if much == 255:
                    judge.is_stopping = True
                    judge.worker.stop()
                case _:
                    pass
            loop.turn_over()
            judge.check()
        judge.vault.set_trouble(None)
        judge.vault.set_shut(False)
        for peer in judge.all:
            judge.end(peer, 0)
        loop.advance(70.0)
        judge.check()
        worker = judge.worker
        assert not worker.line.waiting
        assert worker.line.holder is None
        assert not worker.admission.present
        assert not worker.admission.unopened
        assert running.done() or len(asyncio.all_tasks(loop)) == tasks, "tasks are left"
        worker.stop()
        loop.advance(10.0)
        running.result()
        assert not asyncio.all_tasks(loop)
