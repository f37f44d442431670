"""Mutants: one thing of randstream made wrong each, to see whether a simulation notices.

A mutant is a piece of a function's source and what stands there instead. A piece that is not found, or found twice, is
an error: no mutant can quietly stop being one when the code changes.
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
from randstream.producer import link, producer, pump, stream_session
from randstream.producer.discovery import Resolver
from randstream.protocol import end, receiver, sender
from randstream.store import segment, sink, store
from randstream.worker import admission, session, worker


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
Session, Admission, Worker = session.Session, admission.Admission, worker.Worker
Link, StreamSession, Pump = link.Link, stream_session.StreamSession, pump.Pump
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
        Store, "_attempt", "self.problem = None", "pass",
    ),
    # ---- the worker --------------------------------------------------------------------------------------------------
    Mutant(
        "sink-error-is-swallowed", "numbers that the sink could not store are acknowledged",
        Session, "_commit",
        "                await asyncio.sleep(SINK_RETRY_SECONDS)\n"
        "                self._proved.set()\n"
        "                continue\n",
        "                offset = self.receiver.offset\n",
    ),
    Mutant(
        "sink-stays-failed", "after one failed commit there is no other",
        Session, "_commit", "                continue\n", "                return\n",
    ),
    Mutant(
        "open-is-not-tried-again", "a connection whose stream could not be opened waits for ever",
        Session, "_open_sink", "                await asyncio.sleep(SINK_RETRY_SECONDS)\n",
        "                await asyncio.get_running_loop().create_future()\n",
    ),
    Mutant(
        "resume-one-late", "the worker asks for the number after the one it needs",
        Session, "_open", "self.receiver.resume(offset,", "self.receiver.resume(offset + 1,",
    ),
    Mutant(
        "resume-one-early", "the worker asks for a number that it has",
        Session, "_open", "self.receiver.resume(offset,", "self.receiver.resume(max(0, offset - 1),",
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
        "no-takeover", "a newer connection does not end the older one",
        Admission, "admit", "            older.end(Reason.TAKEOVER, now)\n", "            pass\n",
    ),
    Mutant(
        "any-stream-takes-over", "a connection for another stream ends the one that lives",
        Admission, "admit", "                return False\n", "                pass\n",
    ),
    Mutant(
        "leaving-takes-the-place", "a connection that ends leaves no live one, though a newer one lives",
        Admission, "leave", "        if self.live is not guest:\n            return False\n", "",
    ),
    Mutant(
        "worker-leaves-its-wheel", "a worker that has ended leaves a timer",
        Worker, "run", "wheel.close()", "pass",
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
        Sender, "_perform_duty", "        self._beat(now)\n",
        "        if self._interval_bytes:\n            self._beat(now)\n",
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
        Receiver, "_say_ack", "encode(Ack(self.acked_offset, t))",
        "encode(Ack(self._unacked[-1].offset if self._unacked else self.acked_offset, t))",
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
        Link, "_dial_in_turn", "except (OSError, PeerTimeout) as error:", "except OSError as error:",
    ),
    Mutant(
        "dial-keeps-its-place", "the place of a dial that failed is never given back",
        Link, "_dial_in_turn",
        "            async with self._context.dials:\n                await self._dial_addresses()\n",
        "            await self._context.dials.acquire()\n"
        "            await self._dial_addresses()\n"
        "            self._context.dials.release()\n",
    ),
    Mutant(
        "backoff-never-grows", "a worker that is away is dialled ten times a second",
        Backoff, "delay", "min(2 * self._bound, LONGEST_DELAY)", "self._bound",
    ),
    Mutant(
        "successor-is-not-respected", "two producers take a worker from each other all the time",
        Link, "_delay_after", "self._backoff.succession_delay(held)", "self._backoff.delay()",
    ),
    Mutant(
        "dns-answers-for-ever", "a worker that moved is never found again",
        Resolver, "resolve", "now - asked_at >= ANSWER_SECONDS", "False",
    ),
    Mutant(
        "producer-leaves-its-wheel", "a producer that has ended leaves a timer",
        producer.Producer, "run", "wheel.close()", "pass",
    ),
)  # fmt: skip


HEARTBEATS: Final = 70.0
"""Of the plans that have to catch them: a third of what `make simulate` takes."""

CAUGHT_BY: Final = {
    "ack-before-the-sync": 0,
    "no-fdatasync": 1,
    "second-fdatasync-is-proof": 8,
    "failed-append-counts": 0,
    "birth-does-not-sync-the-folder": 0,
    "birth-does-not-sync-the-header": 11,
    "stream-folder-is-not-synced": 0,
    "retention-takes-the-last": 16,
    "retention-takes-the-newest": 0,
    "retention-before-the-birth": 39,
    "retention-keeps-too-little": 0,
    "open-keeps-what-waits": 23,
    "open-keeps-what-is-unproven": 0,
    "problem-is-never-cleared": 0,
    "sink-error-is-swallowed": 0,
    "sink-stays-failed": 12,
    "open-is-not-tried-again": 40,
    "resume-one-late": 0,
    "resume-one-early": 0,
    "resume-before-the-open": 1,
    "drain-acknowledges-too-soon": 1,
    "tasks-outlive-the-session": 0,
    "no-takeover": 2,
    "any-stream-takes-over": 1,
    "leaving-takes-the-place": 1,
    "worker-leaves-its-wheel": 0,
    "later-alarm-is-lost": 1,
    "wheel-stops": 1,
    "linger-timer-stays": 0,
    "silence-never-ends": 0,
    "silence-is-not-broken": 0,
    "no-beats-of-its-own": 1,
    "acks-are-not-repeated": 0,
    "crc-is-not-checked": 40,
    "count-is-not-checked": 29,
    "ack-of-what-was-heard": 0,
    "rate-is-doubled": 0,
    "numbers-are-sent-twice": 0,
    "pump-of-the-session-before": 0,
    "goodbye-before-the-ack": 4,
    "no-final-beat": 1,
    "one-dial-only": 1,
    "timed-out-dial-ends-the-link": 1,
    "dial-keeps-its-place": 1,
    "backoff-never-grows": 2,
    "successor-is-not-respected": 2,
    "dns-answers-for-ever": 11,
    "producer-leaves-its-wheel": 0,
}
"""A seed whose plan of HEARTBEATS catches each, on Python 3.11. docs/simulation.md names those that no
simulation sees."""


def find_mutant(name: str) -> Mutant:
    """The mutant of that name."""
    return next(mutant for mutant in MUTANTS if mutant.name == name)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Inside, randstream has the mutant's fault; after it, whatever happened, it has not."""
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
    """A piece that begins a line is indented as in the file; the function's source is not any more."""
    lines = piece.split("\n")
    return "\n".join(line[by:] if line.startswith(" " * by) else line for line in lines)
