"""What is fuzzed: one function for each target. It takes any bytes, and raises if something happens that never may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from tests.protocol.network import START, WORKER, open_line
from tests.store.disk import Disk
from tests.store.streams import OFFERED

from randstream import speedups
from randstream.errors import Reason, RemoteProtocolError, SettingsError
from randstream.numbers.distributions import parse_distribution
from randstream.numbers.seed import parse_seed
from randstream.protocol import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from randstream.protocol.decoder import Decoder
from randstream.protocol.events import AskDue, Closed, Event, Proved, Started
from randstream.protocol.frames import Ack, ControlFrame, Numbers, Resume, Wait, crc32c, encode, parse_control_line
from randstream.protocol.receiver import Receiver
from randstream.protocol.states import State
from randstream.settings.addresses import Target, check_address, check_targets
from randstream.settings.checks import (
    check_command,
    check_heartbeat,
    check_identities,
    check_name,
    check_numbers,
    check_rate,
    check_seconds,
    check_size,
    check_switch,
)
from randstream.store.layout import DamagedStore, encode_header, list_folder, segment_path
from randstream.store.recovery import recover

# ---- the decoder -----------------------------------------------------------------------------------------------------

NUMBER_LINE: Final = re.compile(rb"[0-9-][0-9.e+-]{0,62}")


def decode(slices: list[bytes]) -> tuple[list[ControlFrame | bytes], bool]:
    """All frames, number lines joined, and whether there was an error."""
    decoder = Decoder()
    frames: list[ControlFrame | bytes] = []
    try:
        for data in slices:
            for frame in decoder.decode(data):
                if not isinstance(frame, Numbers):
                    frames.append(frame)
                    continue
                run = bytes(frame.lines)
                assert frame.count == run.count(b"\n") > 0
                assert all(NUMBER_LINE.fullmatch(line) for line in run[:-1].split(b"\n"))
                if frames and isinstance(frames[-1], bytes):
                    frames[-1] += run
                else:
                    frames.append(run)
            assert len(decoder.tail) < MAX_CONTROL_LINE_BYTES
            assert decoder.tail[:1] == b"#" or len(decoder.tail) < MAX_NUMBER_LINE_BYTES
    except RemoteProtocolError:
        return frames, True
    return frames, False


def fuzz_decoder(data: bytes) -> None:
    """Any slicing means the same, and the speed-ups judge as a regular expression does.

    The first byte gives the slices' length, 0: one slice.
    """
    size = data[0] if data else 0
    whole, is_bad = decode([data[1:]])
    sliced, is_bad_too = decode([data[at : at + size] for at in range(1, len(data), size)] if size else [data[1:]])
    assert is_bad == is_bad_too
    if not is_bad:
        assert whole == sliced
    if speedups.ARE_COMPILED:
        lines = data[1:].split(b"\n")
        count = len(lines) if all(NUMBER_LINE.fullmatch(line) for line in lines) else 0
        assert speedups.count_lines(data + b"\n", min(1, len(data)), len(data) + 1) == count
    for frame in whole:
        if not isinstance(frame, bytes):
            line = encode(frame)
            assert len(line) <= MAX_CONTROL_LINE_BYTES
            assert parse_control_line(line[:-1]) == frame


# ---- the receiver ----------------------------------------------------------------------------------------------------


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


# ---- recovery --------------------------------------------------------------------------------------------------------

FOLDER: Final = Path("/store")
HEADER: Final = encode_header(OFFERED, 7)
BEAT: Final = re.compile(rb"#beat offset=(0|[1-9][0-9]{0,18}) crc=([0-9a-f]{8})(?: t=[0-9]{1,20})?\n")
RUN: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,62}\n)*")


def heal(text: bytes) -> bytes:
    """Replace each `crc=????????` by the right one: what chance would never find."""
    parts = text.split(b"crc=????????")
    healed = parts[0]
    for part in parts[1:]:
        start = healed.rfind(b"\n#beat ", 0, healed.rfind(b"#"))
        run = healed[healed.find(b"\n", start + 1) + 1 : healed.rfind(b"#")]
        healed += b"crc=%08x%s" % (crc32c(run), part)
    return healed


def intact(text: bytes) -> tuple[int, int]:
    """How many bytes of a segment hold, and the offset after them: a second reading of the rule."""
    position, offset = len(HEADER), 7
    while (hash_at := text.find(b"#", position)) >= 0:
        beat = BEAT.match(text, hash_at)
        run = text[position:hash_at]
        if beat is None or not RUN.fullmatch(run):
            break
        if int(beat[1]) != offset + run.count(b"\n") or int(beat[2], 16) != crc32c(run):
            break
        position, offset = beat.end(), int(beat[1])
    return position, offset


def write(disk: Disk, path: Path, text: bytes) -> None:
    file = disk.create(path)
    file.write(0, [text])
    file.close()


def fuzz_recovery(data: bytes) -> None:
    """A segment that ends, or if the first byte is odd begins, with whatever is there; after recovery it holds."""
    text = heal(HEADER + data[1:]) if not data or data[0] % 2 == 0 else data[1:]
    disk = Disk(Random(0))
    disk.make_folder(FOLDER)
    path = segment_path(FOLDER, 7)
    write(disk, path, text)
    try:
        found = recover(disk, FOLDER, list_folder(disk, FOLDER), OFFERED)
    except DamagedStore:
        assert not text.startswith(HEADER)
        return
    assert found is not None
    segment, recovery = found
    segment.close()
    after = disk.open(path).read(0, len(text) + 1)
    assert text.startswith(after)
    assert recovery.kept_bytes == len(after)
    assert recovery.kept_bytes + recovery.cut_bytes == len(text)
    if text.startswith(HEADER):
        assert (recovery.kept_bytes, recovery.offset) == intact(text)
    again = recover(disk, FOLDER, list_folder(disk, FOLDER), OFFERED)
    assert again is not None
    again[0].close()
    assert again[1].cut_bytes == 0


# ---- the border to C -------------------------------------------------------------------------------------------------

GUARD: Final = 64


def fuzz_border(data: bytes) -> None:
    """Whatever C is told to do, it writes only within its room, and reads only within its data.

    The first bytes are seven integers: a size from 0 to 9 and its bytes, signed and little-endian.
    """
    if not speedups.ARE_COMPILED:
        return
    integers, rest = [], data
    for _ in range(7):
        size = rest[0] % 10 if rest else 0
        integers.append(int.from_bytes(rest[1 : size + 1], "little", signed=True))
        rest = rest[size + 1 :]
    key0, key1, offset, count, low, span, room_bytes = integers
    space = np.full(room_bytes % 4096 + 2 * GUARD, ord("~"), np.uint8)
    room = space[GUARD:-GUARD]
    with suppress(ValueError):
        begin = speedups.draw_lines((key0, key1), offset, count, low, span, room)
        assert room[begin:].tobytes().count(b"\n") == count
    assert (space[:GUARD] == ord("~")).all()
    assert (space[-GUARD:] == ord("~")).all()
    lines = rest[offset:count].count(b"\n") if 0 <= offset < count <= len(rest) else 0
    assert speedups.count_lines(rest, offset, count) in (0, lines)
    with suppress(ValueError):
        assert bytes(speedups.put_csv_lines(rest, offset, count)).count(b"\n") == count == rest.count(b"\n")


# ---- settings --------------------------------------------------------------------------------------------------------

CHECKS: Final[tuple[Callable[[str], object], ...]] = (
    check_targets, check_address, check_name, check_rate, check_numbers, check_heartbeat, check_seconds, check_size,
    check_switch, check_command, parse_seed, check_identities,
)  # fmt: skip


def fuzz_settings(data: bytes) -> None:
    """What any text means as any setting: a value, which means itself again, or an error that says what to give."""
    text = data[1:].decode(errors="surrogateescape")
    if not data:
        return
    check = CHECKS[data[0] % len(CHECKS)]
    with suppress(ValueError, SettingsError):
        value = check(text)
        for again in spellings(value):
            assert check(again) == value
        if check is check_numbers:
            assert parse_distribution(str(value)).spelling == value


def spellings(value: object) -> Iterator[str]:
    """How the value of a setting is written, where that is defined."""
    if isinstance(value, tuple) and value and isinstance(value[0], Target):
        yield ",".join(map(str, value))
    elif not isinstance(value, tuple):
        yield str(value)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "border": fuzz_border,
    "decoder": fuzz_decoder,
    "receiver": fuzz_receiver,
    "recovery": fuzz_recovery,
    "settings": fuzz_settings,
}
