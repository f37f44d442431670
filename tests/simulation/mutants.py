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
from randstream.net.connection import AcceptedConnection, Connection
from randstream.net.timers import Alarm, TimerWheel
from randstream.producer import link, producer, pump, stream_session
from randstream.producer.discovery import Resolver
from randstream.protocol import end, receiver, sender
from randstream.store import recovery, segment, sink, store
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
        "            batch = self._next_batch()\n"
        "            running = asyncio.get_running_loop().run_in_executor(self._thread, self._store.commit, batch)\n"
        "            running.add_done_callback(_retrieve)\n"
        "            self._running = running\n"
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
        "failed-append-is-not-cut", "what a failed append left stays behind the next one",
        Segment, "cut_back", "self._file.truncate(self.committed_bytes)", "pass",
    ),
    Mutant(
        "failed-append-counts", "an append whose sync failed is committed",
        Segment, "append", "            raise\n", "            pass\n",
    ),
    Mutant(
        "recovery-does-not-sync", "recovery believes what the page cache shows",
        recovery, "_recover_segment", "file.fdatasync()", "pass",
    ),
    Mutant(
        "recovery-does-not-cut", "recovery leaves the torn tail in place",
        recovery, "_recover_segment", "if walk.position < size:", "if False:",
    ),
    Mutant(
        "recovery-does-not-sync-its-cut", "the torn tail may be there again after a power loss",
        recovery, "_recover_segment", "file.fsync()", "pass",
    ),
    Mutant(
        "recovery-does-not-sync-the-folder", "the name of a segment that recovery found may not be durable",
        recovery, "recover", "files.sync_folder(folder)", "pass",
    ),
    Mutant(
        "recovery-leaves-the-unborn", "temporary files of births that failed are never removed",
        recovery, "recover", "files.unlink(unborn)", "pass",
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
        "no-seal", "a full segment's length is not durable before the next one follows",
        Segment, "seal", "self._file.fsync()", "pass",
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
        "retention-does-not-sync", "removals reach the disk in any order, and may leave a gap",
        Store, "_remove_old_segments", "self._files.sync_folder(folder)", "pass",
    ),
    Mutant(
        "retention-keeps-too-little", "segments are removed though those after them hold less than is to be kept",
        Store, "_remove_old_segments", "                    break\n", "                    pass\n",
    ),
    Mutant(
        "store-has-two-threads", "an open may overtake the commit that still runs",
        DurableSink, "__init__", "ThreadPoolExecutor(1,", "ThreadPoolExecutor(2,",
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
        "late-bytes-count", "what comes from a connection that is over reaches the sink",
        Session, "on_event", "if self._over.is_set():", "if False:",
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
        "partings-never-end", "a peer that never reads why it was refused holds its socket for ever",
        AcceptedConnection, "wait_parted", "asyncio.timeout(LINGER)", "asyncio.timeout(None)",
    ),
    Mutant(
        "strangers-outlive-the-worker", "a worker that ends leaves those that have yet to open",
        Worker, "_drain", "self.admission.end_others(Reason.SHUTDOWN, self.clock.now())", "pass",
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
        "flush-forgets-the-deadline", "a connection that has heard something is not woken for its next duty",
        Connection, "flush", "self._alarm.set(min(self._poked_for, self.end.deadline))",
        "self._alarm.set(min(self._poked_for, self._alarm.when))",
    ),
    Mutant(
        "linger-timer-stays", "a closed connection leaves its timer",
        Connection, "connection_lost", "            self._lingering.cancel()\n", "            pass\n",
    ),
    Mutant(
        "close-waits-for-the-peer", "a connection to a peer that never reads is never closed",
        Connection, "close",
        "            self._lingering = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)\n",
        "            self.transport.abort() if False else None\n",
    ),
    # ---- the protocol ------------------------------------------------------------------------------------------------
    Mutant(
        "silence-never-ends", "a peer that is dead is waited for, for ever",
        Silence, "is_over", "        return True\n", "        self.deadline = NEVER\n        return False\n",
    ),
    Mutant(
        "no-late-timer-rule", "a process that was frozen gives up on a peer whose bytes it has not read",
        Silence, "is_over", "now - self.deadline > grace / 2", "False",
    ),
    Mutant(
        "silence-is-not-broken", "bytes that arrive are no sign of life",
        end.End, "_heard", "            self._silence.heard(now)\n", "            pass\n",
    ),
    Mutant(
        "no-beats-of-its-own", "a producer beats only when it sends numbers",
        Sender, "_perform_duties", "self._beat_on_schedule(now)", "self._next_beat = now + self.heartbeat",
    ),
    Mutant(
        "beats-in-a-burst", "a producer that was held up makes up for every beat it missed",
        Sender, "_beat_on_schedule", "            self._next_beat = now + self.heartbeat\n", "            pass\n",
    ),
    Mutant(
        "acks-are-not-repeated", "a worker whose sink is slow says nothing",
        Receiver, "_perform_duties", "self._say_ack(None, now)", "self._next_word = now + self.heartbeat",
    ),
    Mutant(
        "waits-are-not-repeated", "a worker that recovers says nothing",
        Receiver, "_perform_duties", "self.wait(now)", "self._next_word = NEVER",
    ),
    Mutant(
        "no-window", "a producer sends though the worker acknowledges nothing",
        Sender, "room", "return WINDOW_BYTES - (self._sent_bytes - self._acked_bytes)", "return WINDOW_BYTES",
    ),
    Mutant(
        "window-leaks", "an ack gives back less of the window than it acknowledges",
        Sender, "_acknowledged",
        "            self._acked_bytes = self._unacked.popleft().bytes_total\n",
        "            self._acked_bytes = self._unacked.popleft().bytes_total - 20\n",
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
    Mutant(
        "bad-beat-is-not-rewound", "what a beat has disproved stays with the sink",
        Session, "on_event", "self._rewind(now)", "pass",
    ),
    # ---- the producer ------------------------------------------------------------------------------------------------
    Mutant(
        "link-goes-on-from-memory", "a producer goes on after what it sent last, whatever the worker asks for",
        Sender, "_receive",
        "self.offset = self.acked_offset = self._first_offset if offset is None else offset",
        "self.offset = self.acked_offset = max(self._first_offset, offset or 0)",
    ),
    Mutant(
        "acked-offset-of-another-stream", "what one worker acknowledged is where another is begun",
        StreamSession, "_offer",
        "self._context.acked_offsets.get(self._stream.id, 0)",
        "max(self._context.acked_offsets.values(), default=0)",
    ),
    Mutant(
        "rate-is-doubled", "half of what was sent stays due",
        Pump, "push", "            self._pacer.take(count)\n", "            self._pacer.take(count if offset % 2 else 0)\n",
    ),
    Mutant(
        "pump-of-the-session-before", "a run begins where the link stands, not where this connection does",
        StreamSession, "on_writable", "self._pump.push(self._sender.offset,", "self._pump.push(self._link.acked_offset,",
    ),
    Mutant(
        "pump-outlives-the-end", "a producer that ends goes on sending",
        StreamSession, "finish", "        self._pump = None\n", "",
    ),
    Mutant(
        "pump-stops-when-full", "a pump that had no room is never asked again",
        Pump, "push", "        if self.waits_for_room:\n            self._connection.poke(math.inf)\n",
        "        if self.waits_for_room:\n            self._connection.poke(math.inf)\n"
        "            self._count_due = lambda *_: 0\n",
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
        "dial-outlives-the-link", "a link that ends leaves its dial",
        Link, "abort", "            self._dialling.cancel()\n", "            pass\n",
    ),
    Mutant(
        "backoff-never-starts-over", "a link that was healthy for hours waits as long as one that never was",
        Backoff, "reset", "        self._bound = FIRST_DELAY\n", "        pass\n",
    ),
    Mutant(
        "backoff-never-grows", "a worker that is away is dialled ten times a second",
        Backoff, "delay", "min(2 * self._bound, LONGEST_DELAY)", "self._bound",
    ),
    Mutant(
        "backoff-grows-for-ever", "a worker that was away for long is dialled ever more rarely",
        Backoff, "delay", "min(2 * self._bound, LONGEST_DELAY)", "2 * self._bound",
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
