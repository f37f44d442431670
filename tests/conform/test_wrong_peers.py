"""Planted faults: a worker and a producer that break one rule each. The suite finds every one, by the rule's name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.conform.roles import addresses, broken, judged_producer, judged_worker, of_rule
from tests.support.ports import free_port
from tests.support.roles import a_producer, a_worker, running

from randstream.conform.suites import PRODUCER_CASES, WORKER_CASES
from randstream.errors import Reason
from randstream.producer.link import Link
from randstream.protocol import decoder, end, frames, raw, receiver, sender
from randstream.protocol.frames import Ack, Beat, Close, Open, Resume, Wait
from randstream.protocol.rank import rank
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import MAY_SEND, Role, State
from randstream.worker import line, session
from randstream.worker.admission import Admission
from randstream.worker.line import Line
from randstream.worker.session import Session

pytestmark = [pytest.mark.conform, pytest.mark.asyncio(loop_factories=["asyncio"])]

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> Plant:
    """`around` gets the original in front of the arguments."""

    def plant(patch: Patch) -> None:
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **kwargs: around(original, *args, **kwargs))

    return plant


def const(owner: Any, name: str, value: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, value)


def may_send(role: Role, state: State, kind: type, then: State) -> Plant:
    return lambda patch: patch.setitem(MAY_SEND[role][state], kind, then)


def lenient(text: bytes, instead: bytes) -> Plant:
    """A reader that takes matches of `text`, a regular expression, for `instead`."""
    return wrap(decoder, "parse_control_line", lambda original, raw: original(re.sub(text, instead, bytes(raw))))


def strict_keys(original: Any, keys: Any, words: Any, raw: Any) -> Any:
    if any(word.partition("=")[0] not in keys for word in words):
        raise frames._malformed("an unknown key", raw)
    return original(keys, words, raw)


def lax_words(original: Any, keys: Any, words: Any, raw: Any) -> Any:
    return original(keys, [word for word in words if word], raw)


def last_counts(original: Any, keys: Any, words: Any, raw: Any) -> Any:
    return original(keys, list({word.partition("=")[0]: word for word in words}.values()), raw)


def deaf_to_verbs(original: Any, self: Any, data: bytes, now: float) -> Any:
    return original(self, data.replace(b"#no x=1\n", b""), now)


def any_producer(patch: Patch) -> None:
    key = frames._KEYS[Open]["producer"]
    patch.setitem(frames._KEYS[Open], "producer", replace(key, pattern=re.compile(".+")))


def longer_lines(patch: Patch) -> None:
    for module in (decoder, frames):
        patch.setattr(module, "MAX_CONTROL_LINE_BYTES", 513)


def no_crc(original: Any, self: Any, beat: Beat) -> None:
    original(self, replace(beat, crc=self._crc))


def any_offset(original: Any, self: Any, beat: Beat) -> None:
    self.offset = beat.offset
    original(self, beat)


def said(kind: type, change: Callable[[Any], Any]) -> Plant:
    """Change each line of this `kind` before an end sends it."""

    def plant(patch: Patch) -> None:
        original = frames.encode

        def encode(frame: Any) -> bytes:
            return original(change(frame) if isinstance(frame, kind) else frame)

        for module in (end, receiver, sender):
            patch.setattr(module, "encode", encode)

    return plant


def ends_older(original: Any, self: Line, member: Any, now: float) -> None:
    for other in self._members():
        other.end(Reason.TAKEOVER, now)
    original(self, member, now)


def newcomer_is_busy(original: Any, self: Admission, guest: Any, now: float) -> None:
    original(self, guest, now)
    if len(self.unopened) > 15:
        guest.end(Reason.BUSY, now)


def deaf_to_time(original: Any, self: Any, now: float, grace: float) -> bool:
    return False


def moved_by_bytes(original: Any, self: Any, data: bytes, now: float) -> Any:
    self._silence.heard(now)
    return original(self, data, now)


WRONG_WORKERS: dict[str, tuple[Plant, str, str]] = {
    "takes a wrong CRC": (wrap(Receiver, "_check", no_crc), "beat-checks", "another CRC"),
    "takes a wrong offset": (wrap(Receiver, "_check", any_offset), "beat-checks", "too f"),
    "takes CR LF": (lenient(rb"\r$", b""), "ascii-lf", "CR before LF"),
    "takes two spaces": (wrap(frames, "_read_values", lax_words), "control-line", "two spaces between"),
    "takes a control line of 513 bytes": (
        longer_lines, "line-too-long", "control line of 513",
    ),
    "takes a long interval": (const(receiver, "MAX_INTERVAL_BYTES", 2**24), "beat-every-8-mib", "more than"),
    "refuses unknown keys": (wrap(frames, "_read_values", strict_keys), "unknown-keys-ignored", "an unknown key in"),
    "passes over unknown verbs": (wrap(end.End, "receive_data", deaf_to_verbs), "unknown-verb", "#no x"),
    "takes a repeated key": (wrap(frames, "_read_values", last_counts), "bad-key", "heartbeat twice"),
    "takes any name": (any_producer, "names", ".hidden"),
    "is anybody's worker": (
        wrap(Receiver, "_receive", lambda original, self, frame, now, emit: original(
            self, replace(frame, worker=self._worker) if isinstance(frame, Open) else frame, now, emit)),
        "open-names-the-worker", "another worker",
    ),
    "takes a wrong check": (
        lambda patch: patch.setattr(frames, "crc32c", lambda data: 0), "open-check", "a wrong check"),
    "takes any numbers=": (const(session, "is_canonical", lambda text: True), "numbers-checked", "poisson"),
    "asks nobody": (wrap(Session, "ask", lambda *_: None), "asked", "a newcomer"),
    "asks too seldom": (
        wrap(Receiver, "ask", lambda original, self, wait, period, now: original(self, wait, 9.0, now)),
        "asked", "once an ASK, the shorter"),
    "takes answers to nothing": (
        wrap(Receiver, "_receive", lambda original, self, frame, now, emit: None if isinstance(frame, Wait)
             else original(self, frame, now, emit)), "asked", "#wait that answers none"),
    "says who serves wrongly": (said(Wait, lambda wait: replace(wait, by="somebody")), "line", "a newcomer"),
    "acks too much": (said(Ack, lambda ack: replace(ack, offset=ack.offset + 1)), "ack-in-range", "numbers without"),
    "acks with another t": (said(Ack, lambda ack: replace(ack, t="7")), "ack-t", "of one digit"),
    "never repeats an ack": (const(receiver, "_ACK_PERIOD", 100.0), "ack-once-a-heartbeat", "no beat"),
    "resumes past what it has": (
        said(Resume, lambda resume: Resume(7 + (resume.offset or 0), resume.after)), "resume", "the opening beat and"),
    "does not say why": (said(Resume, lambda resume: Resume(resume.offset, "because")), "after", "after=start"),
    "lets numbers come before the opening beat": (
        may_send(Role.PRODUCER, State.PROVING, frames.Numbers, State.PROVING), "opening-beat", "a number before"),
    "never gives up on silence": (wrap(end.Silence, "is_over", deaf_to_time), "silence", "not fewer"),
    "never gives up on a silent standby": (
        wrap(end.Silence, "is_over", deaf_to_time), "standby-liveness", "that answers nothing"),
    "gives up after one heartbeat": (const(receiver, "SILENCE_HEARTBEATS", 1), "silence", "not fewer"),
    "lets bytes move a limit": (wrap(end.End, "receive_data", moved_by_bytes), "handshake-limit", "byte by"),
    "lets the newest win": (wrap(Line, "join", ends_older), "takeover", "of a higher rank"),
    "does not know instances": (
        wrap(Session, "_join", lambda original, self, offered, now: original(
            self, replace(offered, instance=None), now)), "instance", "ends the one that waits"),
    "ranks the other way round": (const(line, "rank", lambda *names: -rank(*names)), "rank", "in turn"),
    "has room for 17": (const(line, "LINE_LIMIT", 17), "line-limit", ""),
    "turns newcomers away": (wrap(Admission, "enter", newcomer_is_busy), "slots", ""),
    "hands over at once": (const(line, "SETTLE_SECONDS", 0.1), "settle", ""),
    "passes on what raw peers send unread": (
        wrap(raw, "read_lines", lambda original, lines: (lines, lines.count(b"\n"))), "raw-line", "not numbers"),
    "says no raw peer what was wrong": (
        wrap(Receiver, "_close_because_of", lambda original, self, error: self._close_for(error.reason)),
        "raw-fault", "much more"),
    "drops a raw peer's last line": (
        wrap(raw.RawDecoder, "decode_rest", lambda original, self: iter(())), "raw-last-line", ""),
    "says another reason": (said(Close, lambda close: Close(Reason.REFUSED)), "unknown-verb", "#open while streaming"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG_WORKERS)
async def test_worker_that(fault: str, monkeypatch: Patch) -> None:
    plant, rule, part = WRONG_WORKERS[fault]
    cases = of_rule(WORKER_CASES, rule, part)
    if fault == "hands over at once":
        monkeypatch.setattr(line, "SETTLE_HEARTBEATS", 0)
    async with a_worker(discard=True, accept_raw=rule.startswith("raw")) as worker:
        assert worker.address is not None
        plant(monkeypatch)
        outcomes = await judged_worker(worker.address[1], cases)
    assert broken(outcomes), f"nobody noticed that it {fault}"


def beats_at_leisure(original: Any, self: Sender, now: float) -> None:
    original(self, now)
    self._next_duty += self.heartbeat


def answers_late(original: Any, self: Sender, frame: Any, now: float, emit: Any) -> None:
    original(self, frame, now, emit)
    if isinstance(frame, Wait):
        self._answers -= 1


def answers_twice(original: Any, self: Sender, frame: Any, now: float, emit: Any) -> None:
    original(self, frame, now, emit)
    if isinstance(frame, Wait):
        self._answers += 1


def takes_any_ack(original: Any, self: Sender, ack: Ack, now: float) -> Any:
    beaten = self._unacked[-1].offset if self._unacked else self.acked_offset
    return original(self, replace(ack, offset=min(max(ack.offset, self.acked_offset), beaten)), now)


def sends_its_own(original: Any, self: Sender, lines: Any, count: int, now: float) -> None:
    original(self, bytes(lines).replace(b"1", b"2"), count, now)


def has_a_new_instance(original: Any, self: Sender, **given: Any) -> None:
    original(self, **{**given, "instance": f"{id(self):016x}"})


WRONG_PRODUCERS: dict[str, tuple[Plant, str, str]] = {
    "takes another version": (lenient(rb"randstream/2", b"randstream/1"), "hello-version", "another version"),
    "takes CR LF": (lenient(rb"\r$", b""), "ascii-lf", "#hello with CR"),
    "takes any name": (lenient(rb"worker=\.hidden", b"worker=h"), "names", ".hidden"),
    "refuses unknown keys": (wrap(frames, "_read_values", strict_keys), "unknown-keys-ignored", "with an unknown key"),
    "takes a control line of 513 bytes": (
        longer_lines, "line-too-long", "#wait of 513",
    ),
    "takes unknown verbs": (lenient(rb"#soon x=1", b"#wait"), "unknown-verb", "#soon"),
    "takes a word without =": (lenient(rb" word$", b""), "control-line", "#wait word"),
    "answers no #wait": (wrap(Sender, "_receive", answers_late), "asked", "'#wait' is"),
    "answers each #wait twice": (wrap(Sender, "_receive", answers_twice), "asked", "'#wait' is"),
    "opens another worker": (
        said(Open, lambda offer: replace(offer, worker="another")), "open-names-the-worker", ""),
    "checks its #open wrongly": (lambda patch: patch.setattr(frames, "crc32c", lambda data: 0), "open-check", ""),
    "begins at another offset": (
        said(Beat, lambda beat: replace(beat, offset=beat.offset + 1)), "opening-beat", "offset=0"),
    "says a wrong CRC": (said(Beat, lambda beat: replace(beat, crc=beat.crc ^ 1)), "beat-checks", ""),
    "beats half as often": (wrap(Sender, "_beat_on_time", beats_at_leisure), "beat-period", "at most"),
    "takes an ack of what it never sent": (wrap(Sender, "_acknowledged", takes_any_ack), "ack-in-range", "2^63"),
    "takes an ack that goes back": (wrap(Sender, "_acknowledged", takes_any_ack), "ack-in-range", "below"),
    "bears a flood of acks": (const(sender, "MAX_WORDS_A_SECOND", 10**9), "words-a-second", "1,500"),
    "forgets what was acked": (wrap(Link, "note_known", lambda *_: None), "start-offset", "what was acked last"),
    "heeds no #wait offset=": (lenient(rb"#wait by=another offset=777", b"#wait"), "start-offset", "remembered"),
    "never gives up on silence": (wrap(end.Silence, "is_over", deaf_to_time), "silence", "not fewer"),
    "gives up after one heartbeat": (const(sender, "SILENCE_HEARTBEATS", 1), "silence", "not fewer"),
    "has a new instance each time": (wrap(Sender, "__init__", has_a_new_instance), "instance", "for all"),
    "dials its successor at once": (lenient(rb"reason=takeover", b"reason=shutdown"), "successor", ""),
    "dials slowly after a yield": (lenient(rb"reason=yield", b"reason=takeover"), "yielded", ""),
    "sends other numbers": (wrap(Sender, "send_numbers", sends_its_own), "word-n", "of the seed"),
    "links one worker twice": (wrap(Link, "claim", lambda original, self: self), "one-link-a-worker", ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG_PRODUCERS)
async def test_producer_that(fault: str, monkeypatch: Patch) -> None:
    plant, rule, part = WRONG_PRODUCERS[fault]
    cases = of_rule(PRODUCER_CASES, rule, part)
    plant(monkeypatch)
    port = free_port()
    suite = asyncio.create_task(judged_producer(port, cases, seed="42"))
    async with running(a_producer(*addresses(port, 2), heartbeat_interval=0.3, grace_period=0.1, rate=500)):
        outcomes = await suite
    assert broken(outcomes), f"nobody noticed that it {fault}"


async def test_producer_that_sends_past_the_window_and_long_intervals(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sender, "WINDOW_BYTES", 2**26)
    port = free_port()
    cases = of_rule(PRODUCER_CASES, "window", "32 MiB")
    suite = asyncio.create_task(judged_producer(port, cases))
    async with running(a_producer(f"127.0.0.1:{port}", grace_period=0.1, rate="max", heartbeat_interval=0.3)):
        outcomes = await suite
    [told] = broken(outcomes)
    assert "at most 32 MiB" in told
