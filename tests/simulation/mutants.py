"""Mutants: each makes one thing in randstream wrong, to see whether a simulation notices.

A mutant is a piece of a function's source and its replacement. A piece that is not found, or found twice, is an error:
no mutant can quietly stop being one when the code changes.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from randstream.backoff import Backoff
from randstream.net.connection import Connection
from randstream.net.timers import Alarm, TimerWheel
from randstream.observe.interruptions import Interruptions
from randstream.producer import link, producer, pump, redial, stream_session
from randstream.producer.places import Places
from randstream.producer.resolver import Resolver
from randstream.protocol import end, receiver, sender
from randstream.store import segment, sink, store
from randstream.worker import line, session, worker


@dataclass(frozen=True)
class Mutant:
    """`function` of `owner`, a class or a module, with `old` replaced by `new`; `wrong` says what that breaks."""

    name: str
    wrong: str
    owner: Any
    function: str
    old: str
    new: str


DurableSink, Store, Segment = sink.DurableSink, store.Store, segment.Segment
Session, Line, Worker = session.Session, line.Line, worker.Worker
Link, Redial, StreamSession, Pump = link.Link, redial.Redial, stream_session.StreamSession, pump.Pump
Sender, Receiver, Silence = sender.Sender, receiver.Receiver, end.Silence

MUTANTS: Final = (
    # ---- the store ---------------------------------------------------------------------------------------------------
    Mutant(
        "ack-before-the-sync", "a commit counts as done when it has begun",
        DurableSink, "commit",
        "            await self._run(self._store.commit, self._next_batch())",
        "            asyncio.get_running_loop().create_task(self._run(self._store.commit, self._next_batch()))\n"
        "            return wanted_offset",
    ),
    Mutant(
        "no-fdatasync", "an append is written and not synced",
        Segment, "append", "self._file.fdatasync()", "pass",
    ),
    Mutant(
        "second-fdatasync-is-proof", "a sync that failed is called again, and believed",
        Segment, "append",
        "            self._file.fdatasync()\n",
        "            try:\n"
        "                self._file.fdatasync()\n"
        "            except OSError:\n"
        "                self._file.fdatasync()\n",
    ),
    Mutant(
        "failed-append-counts", "an append whose sync failed is committed",
        Segment, "append", "            raise\n", "            pass\n",
    ),
    Mutant(
        "birth-does-not-sync-the-folder", "a segment's name is not durable when numbers in it are acknowledged",
        Segment, "born", "files.sync_folder(folder)", "pass",
    ),
    Mutant(
        "birth-does-not-sync-the-header", "a segment's name may be durable before its header is",
        Segment, "born", "file.fsync()", "pass",
    ),
    Mutant(
        "stream-folder-is-not-synced", "the folder of a new stream is not durable when its numbers are acknowledged",
        Store, "_find_segment", "self._files.sync_folder(self._folder)", "pass",
    ),
    Mutant(
        "retention-takes-the-last", "retention removes the segment that is written to",
        Store, "_remove_old_segments", "firsts[:-1]", "firsts",
    ),
    Mutant(
        "retention-takes-the-newest", "retention leaves the oldest and removes those after it",
        Store, "_remove_old_segments", "firsts[:-1], sizes", "firsts[-2::-1], sizes[-2::-1]",
    ),
    Mutant(
        "retention-before-the-birth", "the full segment is removed while its successor is not there yet",
        Store, "_segment_with_room",
        "        segment.seal()\n",
        "        segment.seal()\n"
        "        if self._retain_bytes == 0:\n"
        "            self._files.unlink(segment.path)\n",
    ),
    Mutant(
        "retention-keeps-too-little", "segments are removed though those after them hold less than is to be kept",
        Store, "_remove_old_segments", "                    break\n", "                    pass\n",
    ),
    Mutant(
        "open-keeps-what-waits", "what an older connection proved is committed beside what the new one sends again",
        DurableSink, "open", "self._waiting.clear()", "pass",
    ),
    Mutant(
        "open-keeps-what-is-unproven", "what an older connection sent is not dropped",
        DurableSink, "open", "self._forget_unproven()", "pass",
    ),
    Mutant(
        "problem-is-never-cleared", "a store that failed once is never ready again",
        Store, "_attempt",
        "            raise\n        self.problem, self.is_full = None, False\n", "            raise\n",
    ),
    # ---- the worker --------------------------------------------------------------------------------------------------
    Mutant(
        "sink-error-is-swallowed", "numbers that the sink could not store are acknowledged",
        Session, "_commit_proved",
        "                await asyncio.sleep(SINK_RETRY_SECONDS)\n"
        "                self._proved.set()\n",
        "                return self.receiver.offset, 0.0, clock.now()\n",
    ),
    Mutant(
        "sink-stays-failed", "after one failed commit there is no other",
        Session, "_commit_proved", "                self._proved.set()\n",
        "                await asyncio.Event().wait()\n",
    ),
    Mutant(
        "resume-one-late", "the worker asks for the number after the one it needs",
        Session, "serve", "self.receiver.resume(resume,",
        "self.receiver.resume(Resume(resume.offset + 1, resume.after),",
    ),
    Mutant(
        "resume-one-early", "the worker asks for a number that it has",
        Session, "serve", "self.receiver.resume(resume,",
        "self.receiver.resume(Resume(max(0, resume.offset - 1), resume.after),",
    ),
    Mutant(
        "resume-before-the-open", "the worker names an offset before the commit of an older connection is over",
        DurableSink, "open",
        "        offset = await self._run(self._store.open, offered)\n",
        "        if self._store.committed_offset is None:\n"
        "            await self._run(self._store.open, offered)\n"
        "        offset = self._store.committed_offset\n",
    ),
    Mutant(
        "drain-acknowledges-too-soon", "the last beat of a worker that ends is acknowledged before its commit",
        Session, "_prove", "            self._drained_offset = beat.offset\n",
        "            self._drained_offset = beat.offset\n"
        "            self.receiver.acknowledge(beat.offset, now)\n",
    ),
    Mutant(
        "tasks-outlive-the-session", "an older connection goes on committing and acknowledging",
        Session, "_finish", "                task.cancel()\n", "                pass\n",
    ),
    Mutant(
        "worker-leaves-its-wheel", "a worker that has ended leaves a timer",
        Worker, "run", "wheel.close()", "pass",
    ),
    # ---- the line ----------------------------------------------------------------------------------------------------
    Mutant(
        "takeover-ends-nobody", "a newer connection of a link does not end the older one",
        Line, "join", "                other.end(Reason.TAKEOVER, now)\n", "                pass\n",
    ),
    Mutant(
        "takeover-ends-everybody", "a newer connection ends those of other links, as it did when there was no line",
        Line, "join", "other.offered.instance == offered.instance:", "other.offered.instance:",
    ),
    Mutant(
        "newcomer-is-not-noticed", "nobody looks at the line when somebody joins it",
        Line, "join", "            self._change.set()\n", "            pass\n",
    ),
    Mutant(
        "leaving-is-not-noticed", "nobody looks at the line when whoever serves has left",
        Line, "leave", "        self._change.set()\n", "        pass\n",
    ),
    Mutant(
        "left-but-in-line", "a connection that is over may still be promoted",
        Line, "leave", "                del self.waiting[member]\n", "                pass\n",
    ),
    Mutant(
        "leaving-takes-the-place", "a connection that ends leaves none serving, though another does",
        Line, "leave", "self.serving is not None and guest is self.serving:", "self.serving is not None:",
    ),
    Mutant(
        "asked-in-the-name-of-the-dead", "the line is told that one serves who has gone",
        Line, "ask", "            if self.serving is not None:\n", "            if True:\n",
    ),
    Mutant(
        "ask-hides-the-other-stream", "a standby is not told that another stream is served",
        Line, "ask", "served.stream if served.stream != offered.stream else None", "None",
    ),
    Mutant(
        "ask-names-an-old-offset", "a standby is told what was acked when the connection that serves began",
        Line, "note_ack", "        self._acked_offset = offset\n", "",
    ),
    Mutant(
        "ask-names-another-streams-offset", "a standby is told how far another stream has come",
        Line, "ask", "            if served.kind == offered.kind:\n", "            if True:\n",
    ),
    Mutant(
        "asked-half-as-often", "the line is asked once in two heartbeats",
        Line, "_ask_period", "return offered.heartbeat if", "return 2 * offered.heartbeat if True or",
    ),
    Mutant(
        "rank-is-ignored", "whoever came first is promoted first",
        Line, "_choose", "max(ready, key=self._score, default=None)", "next(iter(ready), None)",
    ),
    Mutant(
        "rank-is-always-trusted", "the best-ranked is promoted again and again, though it never begins",
        Line, "_choose", "if not self._trusts_rank:", "if False:",
    ),
    Mutant(
        "rank-is-never-trusted-again", "one that did not begin, and rank counts no more",
        Line, "note_start", "        self._trusts_rank = True\n", "        pass\n",
    ),
    Mutant(
        "one-that-owes-is-promoted", "the best-ranked is promoted though it does not answer",
        Line, "_choose", "[member for member in members if not member.owes_answer] or members", "members",
    ),
    Mutant(
        "other-stream-comes-first", "one that offers another stream is promoted before those of the stream",
        Line, "_is_served", "return self.served is not None and self.served.kind == opened.kind", "return False",
    ),
    Mutant(
        "promotion-has-no-reason", "a promotion says that it is a start",
        Line, "promote", "        if place.has_stood_by:\n", "        if False:\n",
    ),
    Mutant(
        "hand-over-is-forgotten", "a hand-over says that the one before has gone",
        Line, "note_ack", "        self._settled = settle\n", "",
    ),
    Mutant(
        "no-hand-over", "a better producer waits for ever",
        Line, "note_ack", "        self._settled = settle\n        return True\n", "        return False\n",
    ),
    Mutant(
        "no-settle", "a better producer gets the stream as soon as it is there",
        Line, "note_ack", "if now - place.since < settle or now - self._service.since < settle:", "if False:",
    ),
    Mutant(
        "newcomer-settles-too-fast", "a better producer gets the stream once the other has served for SETTLE",
        Line, "note_ack", "now - place.since < settle or ", "",
    ),
    Mutant(
        "server-settles-too-fast", "a better producer that has waited takes the stream from one that has just begun",
        Line, "note_ack", " or now - self._service.since < settle", "",
    ),
    Mutant(
        "hand-over-to-a-worse-one", "the stream goes to and fro",
        Line, "note_ack", "if self._score(best) <= self._score(serving):", "if best is serving:",
    ),
    Mutant(
        "hand-over-to-one-that-owes", "the stream is handed to a better one that does not answer",
        Line, "note_ack",
        "[member for member in self._waiting_for(served) if not member.owes_answer]", "self._waiting_for(served)",
    ),
    Mutant(
        "hand-over-without-an-ack", "the stream is handed over between two acks, also while the sink is stalled",
        Session, "on_event", "                self._context.line.ask(self, now)\n",
        "                line = self._context.line\n"
        "                line.ask(self, now)\n"
        "                if line.serving and line.serving.is_started and line.note_ack(line._acked_offset, now):\n"
        "                    line.serving.end(Reason.YIELD, now)\n",
    ),
    Mutant(
        "promotion-does-not-open", "the sink that an older connection left is used as it is",
        Worker, "_promote", "                offset = await self.sink.open(offered)\n",
        "                offset = self.sink.committed_offset\n"
        "                if offset is None:\n"
        "                    offset = await self.sink.open(offered)\n",
    ),
    Mutant(
        "promoting-ends-at-a-failure", "after a sink that could not be opened nobody serves any more",
        Worker, "_promote", "                await asyncio.sleep(SINK_RETRY_SECONDS)\n", "                return\n",
    ),
    Mutant(
        "drain-promotes", "a worker that drains promotes one of the line when whoever served has finished",
        Worker, "run", "                    promoting.cancel()\n",
        "                    if (first := self.line.holder) is not None:\n"
        "                        first.drain(self.clock.now())\n"
        "                        await first.wait_over()\n"
        "                        await asyncio.sleep(0.1)\n"
        "                    promoting.cancel()\n",
    ),
    Mutant(
        "drain-keeps-the-line", "a worker that drains leaves the line waiting",
        Worker, "_drain", "self.admission.end_all_but(session, Reason.SHUTDOWN, self.clock.now())", "pass",
    ),
    # ---- the connection and its timers -------------------------------------------------------------------------------
    Mutant(
        "later-alarm-is-lost", "an alarm that was moved to later never rings",
        Alarm, "ring", "            self.set(self.when)\n", "            pass\n",
    ),
    Mutant(
        "wheel-stops", "a wheel whose alarms were all due is never armed again",
        TimerWheel, "turn", "        self._arm()\n",
        "        if len(due) < 2:\n            self._arm()\n",
    ),
    Mutant(
        "linger-timer-stays", "a closed connection leaves its timer",
        Connection, "connection_lost", "            self._lingering.cancel()\n", "            pass\n",
    ),
    # ---- the protocol ------------------------------------------------------------------------------------------------
    Mutant(
        "silence-never-ends", "a peer that is dead is waited for, for ever",
        Silence, "is_over", "        return True\n", "        self.deadline = NEVER\n        return False\n",
    ),
    Mutant(
        "silence-is-not-broken", "bytes that arrive are no sign of life",
        end.End, "receive_data", "            self._silence.heard(now)\n", "            pass\n",
    ),
    Mutant(
        "no-beats-of-its-own", "a producer beats only when it sends numbers",
        Sender, "_perform_duty", "        self._beat_on_time(now)\n",
        "        if self._interval_bytes:\n"
        "            self._beat_on_time(now)\n"
        "        else:\n"
        "            self._next_duty = now + self.heartbeat\n",
    ),
    Mutant(
        "acks-are-not-repeated", "a worker whose sink is slow says nothing",
        Receiver, "_perform_duty", "self._say_ack(None, now)", "self._next_duty = now + self.heartbeat",
    ),
    Mutant(
        "crc-is-not-checked", "damaged numbers are stored",
        Receiver, "_check", "if beat.crc != self._crc:", "if False:",
    ),
    Mutant(
        "count-is-not-checked", "a beat's offset is believed",
        Receiver, "_check", "if beat.offset != self.offset:", "if False:",
    ),
    Mutant(
        "ack-of-what-was-heard", "a worker repeats the offset of what has come, not of what is stored",
        Receiver, "_say_ack", "Ack(self.acked_offset, t, ",
        "Ack(self._unacked[-1].offset if self._unacked else self.acked_offset, t, ",
    ),
    Mutant(
        "worker-asks-once", "the line is asked when it is joined, and never again",
        Receiver, "_perform_duty", "            emit(AskDue())\n", "            pass\n",
    ),
    Mutant(
        "worker-never-asks", "the line is not asked at all",
        Session, "ask", "self.receiver.ask(wait, period, now)", "self.receiver._next_duty = now + period",
    ),
    Mutant(
        "producer-never-answers", "a standby is silent",
        Sender, "_receive", "                self._answers += 1\n", "",
    ),
    Mutant(
        "producer-answers-twice", "a standby answers each ask twice",
        Sender, "_receive", "                self._answers += 1\n", "                self._answers += 2\n",
    ),
    Mutant(
        "beat-before-the-answer", "a standby that is promoted does not answer what it was asked before",
        Sender, "_receive", "                self._write_answers()\n", "",
    ),
    Mutant(
        "answers-are-not-counted", "a standby that has answered owes an answer for ever",
        Receiver, "_receive", "                self.owed_answers -= 1\n", "                pass\n",
    ),
    Mutant(
        "ask-is-a-sign-of-life", "a dead standby is asked for ever",
        Receiver, "ask", "self._silence.set_limit(SILENCE_HEARTBEATS * period, now)",
        "self._silence = Silence(now, SILENCE_HEARTBEATS * period)",
    ),
    Mutant(
        "resume-is-a-sign-of-life", "a dead standby that is promoted gets all of its patience again",
        Receiver, "resume", "        self._word = b\"\"\n        self._send(resume)\n",
        "        self._word = b\"\"\n        self._send(resume)\n"
        "        self._silence = Silence(now, SILENCE_HEARTBEATS * self.heartbeat)\n",
    ),
    Mutant(
        "opened-but-in-the-handshake", "a standby waits five seconds for a worker, whatever its heartbeat",
        Sender, "open", "        self._silence = Silence(now, SILENCE_HEARTBEATS * self.heartbeat)\n", "",
    ),
    # ---- the producer ------------------------------------------------------------------------------------------------
    Mutant(
        "rate-is-doubled", "half of what was sent stays due",
        Pump, "push", "            self._pacer.take(count)\n",
        "            self._pacer.take(count if offset % 2 else 0)\n",
    ),
    Mutant(
        "numbers-are-sent-twice", "what was sent stays due",
        Pump, "push", "            self._pacer.take(count)\n", "            self._pacer.take(count - 1)\n",
    ),
    Mutant(
        "pump-of-the-session-before", "a run begins where the link stands, not where this connection does",
        StreamSession, "on_writable",
        "self._pump.push(self._sender.offset,", "self._pump.push(self._link.acked_offset,",
    ),
    Mutant(
        "goodbye-before-the-ack", "a producer that ends does not wait for its last ack",
        StreamSession, "finish", "            self.connection.flush()\n", "            self._say_goodbye(now)\n",
    ),
    Mutant(
        "no-final-beat", "a producer that ends does not ask for its last ack",
        StreamSession, "finish", "            self._sender.send_final_beat(now)\n", "",
    ),
    Mutant(
        "one-dial-only", "a link whose dial failed is not dialled again",
        Link, "on_lost", "        self._alarm.set(now + delay)\n",
        "        if was_up:\n            self._alarm.set(now + delay)\n",
    ),
    Mutant(
        "timed-out-dial-ends-the-link", "a link whose dial took too long is not dialled again",
        Link, "_dial_once", "except (OSError, RandstreamError) as error:", "except OSError as error:",
    ),
    Mutant(
        "dial-keeps-its-place", "the place of a dial that failed is never given back",
        Places, "leave", "            self._release(place)\n", "            pass\n",
    ),
    Mutant(
        "backoff-never-grows", "a worker that is away is dialled ten times a second",
        Backoff, "delay", "min(2 * self._bound, self._longest)", "self._bound",
    ),
    Mutant(
        "instance-is-new-each-time", "a link that dials again does not end its older connection",
        StreamSession, "__init__", "instance=link.instance", 'instance=f"{context.random.getrandbits(64):016x}"',
    ),
    Mutant(
        "yield-is-taken-for-takeover", "a producer that yielded stays away",
        Redial, "delay_after", "case Reason.TAKEOVER:", "case Reason.TAKEOVER | Reason.YIELD:",
    ),
    Mutant(
        "standby-does-not-say-goodbye", "a producer that ends leaves those that it stands by for without a word",
        StreamSession, "finish", "        else:\n            self._say_goodbye(now)\n", "",
    ),
    Mutant(
        "dns-answers-for-ever", "a worker that moved is never found again",
        Resolver, "resolve", "self._clock.now() - name.answered_at >= ANSWER_SECONDS", "False",
    ),
    Mutant(
        "producer-leaves-its-wheel", "a producer that has ended leaves a timer",
        producer.Producer, "run", "wheel.close()", "pass",
    ),
    # ---- interruptions -----------------------------------------------------------------------------------------------
    Mutant(
        "losses-are-not-counted", "a connection that is lost is no interruption",
        Interruptions, "lost", "        self._begun = replace(begun, noticed_at=now)\n", "",
    ),
    Mutant(
        "stalls-are-not-counted", "a sink that takes nothing is no interruption",
        Session, "_prove", "                self._context.intake.interruptions.unproven(now, self.receiver)\n", "",
    ),
)  # fmt: skip


HEARTBEATS: Final = 70.0
"""The length of the plans that must catch them: a third of those of `make simulate`."""

CAUGHT_BY: Final = {
    "ack-before-the-sync": 52,
    "no-fdatasync": 52,
    "second-fdatasync-is-proof": 31,
    "failed-append-counts": 35,
    "birth-does-not-sync-the-folder": 52,
    "birth-does-not-sync-the-header": 52,
    "stream-folder-is-not-synced": 52,
    "retention-takes-the-last": 52,
    "retention-takes-the-newest": 44,
    "retention-before-the-birth": 39,
    "retention-keeps-too-little": 44,
    "open-keeps-what-waits": 36,
    "open-keeps-what-is-unproven": 44,
    "problem-is-never-cleared": 35,
    "sink-error-is-swallowed": 35,
    "sink-stays-failed": 31,
    "resume-one-late": 52,
    "resume-one-early": 52,
    "resume-before-the-open": 39,
    "drain-acknowledges-too-soon": 44,
    "tasks-outlive-the-session": 52,
    "worker-leaves-its-wheel": 52,
    "takeover-ends-nobody": 44,
    "takeover-ends-everybody": 44,
    "newcomer-is-not-noticed": 52,
    "leaving-is-not-noticed": 36,
    "left-but-in-line": 44,
    "leaving-takes-the-place": 55,
    "asked-in-the-name-of-the-dead": 23,
    "ask-hides-the-other-stream": 44,
    "ask-names-an-old-offset": 44,
    "ask-names-another-streams-offset": 44,
    "asked-half-as-often": 35,
    "rank-is-ignored": 35,
    "rank-is-always-trusted": 20,
    "rank-is-never-trusted-again": 20,
    "one-that-owes-is-promoted": 35,
    "other-stream-comes-first": 183,
    "promotion-has-no-reason": 44,
    "hand-over-is-forgotten": 35,
    "no-hand-over": 48,
    "no-settle": 48,
    "newcomer-settles-too-fast": 48,
    "server-settles-too-fast": 35,
    "hand-over-to-a-worse-one": 35,
    "hand-over-to-one-that-owes": 25,
    "hand-over-without-an-ack": 48,
    "promotion-does-not-open": 44,
    "promoting-ends-at-a-failure": 39,
    "drain-promotes": 35,
    "drain-keeps-the-line": 29,
    "later-alarm-is-lost": 52,
    "wheel-stops": 35,
    "linger-timer-stays": 52,
    "silence-never-ends": 52,
    "silence-is-not-broken": 52,
    "no-beats-of-its-own": 52,
    "acks-are-not-repeated": 52,
    "crc-is-not-checked": 31,
    "count-is-not-checked": 7,
    "ack-of-what-was-heard": 35,
    "worker-asks-once": 48,
    "worker-never-asks": 44,
    "producer-never-answers": 44,
    "producer-answers-twice": 44,
    "beat-before-the-answer": 1,
    "answers-are-not-counted": 44,
    "ask-is-a-sign-of-life": 8,
    "resume-is-a-sign-of-life": 37,
    "opened-but-in-the-handshake": 52,
    "rate-is-doubled": 52,
    "numbers-are-sent-twice": 52,
    "pump-of-the-session-before": 35,
    "goodbye-before-the-ack": 4,
    "no-final-beat": 4,
    "one-dial-only": 52,
    "timed-out-dial-ends-the-link": 52,
    "dial-keeps-its-place": 45,
    "backoff-never-grows": 45,
    "instance-is-new-each-time": 52,
    "yield-is-taken-for-takeover": 29,
    "standby-does-not-say-goodbye": 48,
    "dns-answers-for-ever": 14,
    "producer-leaves-its-wheel": 52,
    "losses-are-not-counted": 52,
    "stalls-are-not-counted": 31,
}
"""A seed whose plan of HEARTBEATS catches each, on Python 3.11. docs/simulation.md names those that no
simulation sees."""


def find_mutant(name: str) -> Mutant:
    """The mutant of that name."""
    return next(mutant for mutant in MUTANTS if mutant.name == name)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Inside the block randstream has the mutant's fault; afterwards, whatever happened, it does not."""
    original = inspect.getattr_static(mutant.owner, mutant.function)
    changed = change(mutant, original)
    setattr(mutant.owner, mutant.function, changed)
    try:
        yield
    finally:
        setattr(mutant.owner, mutant.function, original)


def change(mutant: Mutant, original: Any) -> Any:
    """The mutant's function, compiled among the names of the original."""
    source = textwrap.dedent(inspect.getsource(getattr(original, "fget", original)))
    old, new = (_dedent(piece, by=4 * inspect.isclass(mutant.owner)) for piece in (mutant.old, mutant.new))
    if source.count(old) != 1:
        raise LookupError(f"{mutant.name}: {mutant.function} has this {source.count(old)} times: {mutant.old!r}")
    # `__class__` is what `super()` looks for, in a cell around the function.
    wrapped = "def make(__class__):\n" + textwrap.indent(source.replace(old, new), "    ")
    names: dict[str, Any] = {}
    module = sys.modules[mutant.owner.__module__ if inspect.isclass(mutant.owner) else mutant.owner.__name__]
    code = compile(wrapped + f"    return {mutant.function}\n", f"<mutant {mutant.name}>", "exec", dont_inherit=True)
    exec(code, module.__dict__, names)
    return names["make"](mutant.owner)


def _dedent(piece: str, by: int) -> str:
    """A piece that begins a line is indented as in the file; the function's source no longer is."""
    lines = piece.split("\n")
    return "\n".join(line[by:] if line.startswith(" " * by) else line for line in lines)
