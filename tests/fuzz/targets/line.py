"""Line: a worker with the producers in its line, or its line alone, which is played faster and for longer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

from tests.fuzz.loop import Loop, LoopClock, Wire
from tests.fuzz.rules import LINE_LIMIT, WORKER, Rules, Standing, kind_of, offer_of
from tests.fuzz.tape import Tape

from randstream.errors import OfferError, Reason, SinkError
from randstream.protocol.frames import Ack, Beat, Close, Hello, Open, Resume, Wait, crc32c, encode, parse_control_line
from randstream.settings import WorkerSettings
from randstream.sinks.immediate import ImmediateSink
from randstream.worker.admission import Guest
from randstream.worker.line import Line
from randstream.worker.worker import Worker

SLOTS: Final = 24
STEPS: Final = 40
SECONDS: Final = 150.0
"""What a worker's life may last: honest producers that say a word a second are slow to play."""
LINE_STEPS: Final = 80
WORKERS_FROM: Final = 224
"""The first bytes of inputs that play a whole worker, which takes ten times as long."""
WAITS: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 10.0, 25.0, 120.0)
HANDSHAKE: Final = 5.0
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


@dataclass(eq=False)
class Peer(Standing):
    """A connection to the worker: what it has said, and what it was told."""

    wire: Wire
    heard_at: float
    is_honest: bool
    asked_at: float = 0.0
    is_gone: bool = False
    """Whether it has ended its connection itself."""
    was_told: bool = False
    """Whether it was told that it is over."""
    owed_yield: bool = False


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


class Judge(Rules):
    """Reads what the worker writes, when it does, and holds it to the rules."""

    def __init__(self, loop: Loop, part: float, *, is_immediate: bool) -> None:
        super().__init__(1.0 + part)
        self.loop = loop
        self.vault = Vault(loop, is_immediate=is_immediate)
        self.worker = Deaf(SETTINGS, self.vault, clock=LoopClock(loop), random=Fixed(part))
        self.peers: dict[int, Peer] = {}
        self.all: list[Peer] = []
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
            self.judge_end(self.sessions.pop(guest), reason)
        except AssertionError as error:
            self.failure = self.failure or error
        return self._leave(guest, reason, now)

    # ---- what the worker does ----------------------------------------------------------------------------------------

    def hear(self, peer: Peer, data: bytes) -> None:
        """Bytes for `peer`. After the end comes one write: what was held back while it was deaf, and `#close`."""
        lines = data.splitlines(keepends=True)
        try:
            assert not peer.was_told, f"spoken to after #close: {data!r}"
            if not peer.wire.is_deaf:
                assert not peer.is_gone, f"spoken to after it has gone: {data!r}"
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
            case Resume() if peer.state == "over" and peer.wire.is_deaf:
                pass  # and this was held back
            case Hello():
                assert peer.state == "new"
            case Wait(by):
                assert peer in self.line
                if not self.is_blurred:
                    assert by == (self.serving and self.serving.offered.producer)
                peer.has_stood_by |= by is not None
                peer.owed += 1
                peer.asked_at = now
                self.reply(peer, self.answer)
            case Resume():
                assert not self.is_stopping, "a worker that drains promotes nobody"
                self.judge_turn(peer, frame, now, is_choice_known=not self.is_blurred)
                self.reply(peer, self.begin)
            case Ack(offset, t):
                assert peer is self.serving
                assert offset <= peer.offset
                if t is None:
                    pass  # the last one again: it answers no beat
                elif not peer.is_started:
                    peer.is_started = self.trusts_rank = True
                elif not self.is_stopping:
                    peer.owed_yield = self.must_yield(peer, now) is not None
            case Close(reason):
                assert peer.state == "over", f"told {reason}, and kept"
                peer.was_told = True

    def judge_choice(self, one: Standing, resume: Resume) -> None:
        if self.served is not None and not self.had_trouble and one.kind != kind_of(self.served):
            assert not self.line_of(kind_of(self.served)), "another stream, while that one has somebody"
        super().judge_choice(one, resume)
        assert resume.offset == self.vault.held.get(one.kind)

    def judge_end(self, peer: Peer, reason: Reason) -> None:
        """The worker ends it, or has noticed that it has ended."""
        now = self.loop.time()
        if reason is Reason.YIELD and not self.is_blurred:
            assert peer is self.serving
            self.yielded = self.must_yield(peer, now)
            assert self.yielded is not None, "a hand-over that no rule asks for"
        self.over(peer, reason, now)

    # ---- what the producers do ---------------------------------------------------------------------------------------

    def connect(self, slot: int, much: int, *, is_honest: bool, opens: bool = True) -> None:
        if self.is_stopping or (slot in self.peers and self.peers[slot].state != "over"):
            return  # a worker that stops no longer listens
        wire = Wire(self.loop, _Streams())
        peer = self.peers[slot] = Peer(wire, self.loop.time(), is_honest)
        self.all.append(peer)
        wire.on_write = lambda data: self.hear(peer, data)  # the greeting is on its way before there is a session
        self.sessions[self.worker.accept(wire)] = peer
        if opens:
            self.open(peer, offer_of(much))

    def open(self, peer: Peer, offered: Open) -> None:
        if peer.state != "new":
            return
        peer.opened = offered
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
        if peer.is_honest and peer.state == "serving" and peer.opened and not peer.wire.is_deaf:
            self.loop.call_later(peer.offered.heartbeat, self.beat_on, peer)

    def beat_on(self, peer: Peer) -> None:
        self.beat(peer, 1)
        self.go_on(peer)

    def beat(self, peer: Peer, count: int) -> None:
        if peer.state == "serving" and peer.is_started:
            run = b"1\n" * count
            peer.offset += count
            self.say(peer, run + encode(Beat(peer.offset, crc32c(run), "2")))

    def speak_raw(self, peer: Peer, line: bytes) -> None:
        """Say what is no part of the protocol: whoever begins so is a raw peer."""
        self.say(peer, line)
        if peer.state == "new":
            peer.state = "raw"

    def end(self, peer: Peer, how: int) -> None:
        if peer.state == "over":
            return
        if how % 4 == 3 or (how % 4 == 2 and peer.state == "raw"):  # who sends only numbers has no word for its end
            self.speak_raw(peer, b"#garbage\n")
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
            if peer.opened is None:
                assert now - peer.heard_at <= HANDSHAKE + LATE
                continue
            assert now - peer.heard_at <= 3 * peer.offered.heartbeat + LATE, "it waits past its deadline"
            if peer.state == "waiting" and not peer.wire.is_deaf:
                assert now - peer.asked_at <= peer.offered.heartbeat + LATE, "it is not asked"
        is_well = not self.vault.is_shut and self.vault.trouble is None and now - self.vault.quiet_since > 1.0
        if is_well and self.line and line.raw is None and not self.is_stopping:
            assert line.serving is not None, "nobody serves"


def fuzz_worker(tape: Tape, first: int) -> None:
    """A life of a worker: three bytes a step, what, who and how much."""
    loop = Loop()
    with loop.running():
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
                    judge.speak_raw(peer, b"%d\n" % much)
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


# ---- the line alone --------------------------------------------------------------------------------------------------

LOOP: Final = Loop()
"""On which nothing is ever played: who waits for an offer waits on one."""
ENDS: Final = (Reason.SHUTDOWN, Reason.CUT, Reason.TIMEOUT, Reason.MALFORMED)


class Fake(Standing):
    """A session that opened a stream. Implements `Member`."""

    def __init__(self, scene: Scene, offered: Open, now: float) -> None:
        super().__init__(opened=offered, state="waiting", joined_at=now)
        self.scene = scene
        self.asks = 0
        self.due = now
        """When it is to be asked again, at the latest."""
        self.ended: list[Reason] = []

    @property
    def owes_answer(self) -> bool:
        return self.owed > 0

    def end(self, reason: Reason, now: float) -> None:
        assert self.state != "over", "ended twice"
        self.ended.append(reason)
        self.scene.end(self, reason)

    def drain(self, now: float) -> None: ...
    async def wait_over(self) -> None: ...

    def ask(self, wait: Wait, period: float, now: float) -> None:
        self.asks += 1
        self.owed += 1
        self.due = now + period
        self.scene.judge_ask(self, wait, period)

    def ask_within(self, period: float, now: float) -> None:
        self.due = min(self.due, now + period) if self.asks else now + period
        self.scene.judge_period(self, period)

    def serve(self, resume: Resume, now: float) -> None:
        self.scene.promoted = self
        self.scene.judge_turn(self, resume, now)


class Raw:
    """A raw peer. Implements `Holder`."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.is_over = False

    def end(self, reason: Reason, now: float) -> None:
        assert reason is Reason.TAKEOVER
        assert not self.is_over
        self.scene.end_raw(reason)

    def drain(self, now: float) -> None: ...
    async def wait_over(self) -> None: ...


class Scene(Rules):
    """A line, whose sink opens and commits when the tape says so."""

    def __init__(self, part: float) -> None:
        super().__init__(1.0 + part)
        self.subject = Line(WORKER, Fixed(part))
        self.now = 1000.0
        self.raw: Raw | None = None
        self.acked: int | None = None
        self.aside: list[tuple[str, str]] = []
        """Streams for which the sink could not be opened, those tried longest ago first."""
        self.opening: Open | None = None
        """What the sink is being opened for."""
        self.offset: int | None = None
        self.promoted: Fake | None = None

    @property
    def members(self) -> list[Fake]:
        """All of the line, whoever serves last."""
        return cast("list[Fake]", [*self.line, *([self.serving] if self.serving else [])])

    def pick(self, much: int, among: list[Standing]) -> Fake | None:
        return cast("Fake", among[much % len(among)]) if among else None

    # ---- what happens to it ------------------------------------------------------------------------------------------

    def join(self, offered: Open) -> None:
        before = self.members
        full = [each for each in before if offered.instance is None or each.offered.instance != offered.instance]
        was_raw, served = self.raw, self.served
        newcomer = Fake(self, offered, self.now)
        served_still = self.serving is not None and self.serving in full
        self.line.append(newcomer)
        self.subject.join(newcomer, self.now)
        for each in before:
            assert each.ended == ([] if each in full else [Reason.TAKEOVER])
        assert was_raw is None or was_raw.is_over, "a raw peer stays"
        if served_still and served and served.stream == offered.stream and served.numbers != offered.numbers:
            assert newcomer.ended == [Reason.MALFORMED]
        elif len(full) >= LINE_LIMIT:
            assert newcomer.ended == [Reason.SPARE]
        else:
            assert not newcomer.ended
            assert newcomer.asks == served_still
            assert newcomer.due > self.now, "it is never asked"

    def join_raw(self) -> None:
        raw = Raw(self)
        is_free = self.raw is None and not self.members
        assert self.subject.join_raw(raw) == is_free
        if is_free:
            self.raw = raw

    def end_raw(self, reason: Reason) -> None:
        raw, self.raw = self.raw, None
        if raw is not None:
            raw.is_over = True
            assert self.subject.leave(raw, reason, self.now)

    def end(self, one: Fake, reason: Reason) -> None:
        """It leaves, whoever wants that."""
        was_serving, was_in = one is self.serving, one in self.members and one in self.subject.waiting
        if reason is Reason.SPARE:
            self.line.remove(one)  # it never was in line
        self.over(one, reason, self.now)
        assert self.subject.leave(one, reason, self.now) == was_serving
        assert not was_in or one not in self.subject.waiting

    def open_sink(self) -> None:
        """The worker asks whom the sink is to be opened for."""
        try:
            self.subject.next_offer().send(None)
        except StopIteration as found:
            self.opening = found.value
        else:
            self.opening = None
        if self.raw or self.serving or not self.line:
            assert self.opening is None
            return
        assert self.opening is not None, "nobody is to serve, though some want to"
        kinds = {each.kind for each in self.line}
        kind = kind_of(self.opening)
        assert kind in kinds
        fresh = kinds - set(self.aside)
        if fresh:
            assert kind in fresh, "one that was set aside comes before others"
            was = self.served and kind_of(self.served)
            assert kind == was or was not in fresh, "another stream, while that one has somebody"
        else:
            assert kind == next(each for each in self.aside if each in kinds), "not the one tried longest ago"

    def settle_sink(self, much: int) -> None:
        """The sink is open, or cannot be."""
        opened, self.opening = self.opening, None
        if opened is None:
            return
        kind = kind_of(opened)
        rivals = self.line_of(kind)
        if much % 8 == 7:
            self.subject.refuse(opened, self.now)
            assert all(cast("Fake", each).ended == [Reason.MALFORMED] for each in rivals)
        elif much % 8 == 6:
            self.aside = [each for each in self.aside if each != kind and self.line_of(each)] + [kind]
            self.subject.set_aside(opened)
        else:
            self.offset = None if much == 0 else much
            is_free = self.raw is None and self.serving is None
            was = self.served and kind_of(self.served)
            is_wanted = was not in (None, kind) and was not in self.aside and bool(was and self.line_of(was))
            self.promoted = None
            self.subject.promote(opened, self.offset, self.now)
            assert (self.promoted is not None) == (is_free and bool(rivals) and not is_wanted)

    def start(self) -> None:
        """The opening beat of whoever serves is acknowledged."""
        if self.serving is not None and not self.serving.is_started:
            self.serving.is_started = self.trusts_rank = True
            self.acked = self.serving.offset
            self.subject.note_start(self.serving.offset)

    def ack(self, much: int) -> None:
        """An ack answers a beat of whoever serves."""
        serving = self.serving
        if serving is None or not serving.is_started:
            return
        self.acked = serving.offset = serving.offset + much
        settle = self.must_yield(serving, self.now)
        assert self.subject.note_ack(serving.offset, self.now) == (settle is not None), "a hand-over, or none"
        if settle is not None:
            self.yielded = settle
            cast("Fake", serving).end(Reason.YIELD, self.now)

    # ---- what it does ------------------------------------------------------------------------------------------------

    def judge_choice(self, one: Standing, resume: Resume) -> None:
        super().judge_choice(one, resume)
        assert resume.offset == self.offset
        self.acked = self.offset
        self.aside = []

    def judge_ask(self, one: Fake, wait: Wait, period: float) -> None:
        assert one in self.line
        self.judge_period(one, period)
        served, by = self.served, self.serving
        one.has_stood_by |= by is not None
        assert wait.by == (by and by.offered.producer)
        assert wait.stream == (served.stream if by and served and served.stream != one.offered.stream else None)
        assert wait.offset == (self.acked if served and kind_of(served) == one.kind else None)

    def judge_period(self, one: Fake, period: float) -> None:
        heartbeats = [one.offered.heartbeat, *([self.served.heartbeat] if self.served else [])]
        assert period == min(heartbeats)

    def check(self) -> None:
        subject = self.subject
        assert list(subject.waiting) == self.line
        assert subject.serving is self.serving
        assert subject.holder is (self.serving or self.raw)
        assert len(self.members) <= LINE_LIMIT
        steady = [each.offered.producer for each in self.members if each.asks >= 4 or each is self.serving]
        assert subject.doubles() == sorted({name for name in steady if steady.count(name) > 1})


def fuzz_alone(tape: Tape, first: int) -> None:
    """A life of a line: two bytes a step, what and how much."""
    scene = Scene(first % 4 / 4)
    with LOOP.running():
        play(scene, tape)


def play(scene: Scene, tape: Tape) -> None:
    for _ in range(LINE_STEPS):
        if tape.is_over:
            break
        what, much = tape.byte() % 16, tape.byte()
        match what:
            case 0 | 1 | 2 | 3:
                scene.join(offer_of(much))
            case 4 if one := scene.pick(much, scene.line):
                scene.subject.ask(one, scene.now)
            case 5:
                for each in scene.line[much % 16 :]:
                    each.owed = 0
            case 6 | 7:
                scene.now += WAITS[much % len(WAITS)] * (1 + much // 32)
            case 8:
                scene.open_sink()
            case 9:
                scene.settle_sink(much)
            case 10:
                scene.open_sink()
                scene.settle_sink(much % 6)
                scene.start()
            case 11:
                scene.start()
            case 12:
                scene.ack(much)
            case 13 if scene.serving and much < 192:
                cast("Fake", scene.serving).end(ENDS[much % 4], scene.now)
            case 13:
                scene.end_raw(Reason.CUT)
            case 14 if one := scene.pick(much // 4, scene.line):
                one.end(ENDS[much % 4], scene.now)
            case 15:
                scene.join_raw()
            case _:
                pass
        scene.check()


def fuzz_line(data: bytes) -> None:
    """The first byte says what is played, and how patient it is."""
    tape = Tape(data)
    first = tape.byte()
    (fuzz_worker if first >= WORKERS_FROM else fuzz_alone)(tape, first)
