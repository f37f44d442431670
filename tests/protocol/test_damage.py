"""Damaged bytes and garbage: nothing wrong reaches a store, and no end ever raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import (
    DISTRIBUTION,
    HELLO,
    START,
    STREAM,
    RevocableSink,
    Wire,
    World,
    beat_line,
    ends_in_every_state,
    number_lines,
    open_line,
    repeatable,
    sent,
)

from randstream.protocol.end import End
from randstream.protocol.events import AskDue, Closed, Greeted, Opened
from randstream.protocol.frames import Resume, Wait
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import State

pytestmark = pytest.mark.usefixtures("unmeasured")

Damage = Callable[[bytes, int], bytes]
DAMAGES: dict[str, Damage] = {
    "a bit flips": lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    "another bit flips": lambda data, at: data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :],
    "a digit comes in": lambda data, at: data[:at] + b"1" + data[at:],
    "an LF comes in": lambda data, at: data[:at] + b"\n" + data[at:],
    "a byte is lost": lambda data, at: data[:at] + data[at + 1 :],
    "many bytes are lost": lambda data, at: data[:at] + data[at + 17 :],
    "a byte comes twice": lambda data, at: data[: at + 1] + data[at:],
    "many bytes come twice": lambda data, at: data[: at + 17] + data[at:],
    "the rest is lost": lambda data, at: data[:at],
}


class DamagingWire(Wire):
    """Does its damage once, at one byte of all that passes in one direction."""

    def __init__(self, wire: Wire, damage: Damage, at: int, *, hits_producer: bool) -> None:
        super().__init__(wire.producer, wire.sender, wire.receiver)
        self._damage = damage
        self._at = at
        self._hits_producer = hits_producer
        self.passed = 0

    def fill(self) -> None:
        under_way = self.to_producer if self._hits_producer else self.to_worker
        before = len(under_way)
        super().fill()
        new = bytes(under_way[before:])
        at = self._at - self.passed
        self.passed += len(new)
        if 0 <= at < len(new):
            under_way[before:] = self._damage(new, at)


def live(damage: Damage, at: int, *, hits_producer: bool) -> int:
    """A short life with one damage, and then a healthy one. How many bytes passed in that direction at first."""
    world = World(RevocableSink())
    wire = DamagingWire(world.dial(), damage, at, hits_producer=hits_producer)
    world.wires = [wire]
    for count in (3, 0, 5):
        world.settle()
        world.send(count)
        world.pass_time(1.0)
    world.settle()
    assert world.sink.stored == number_lines(0, world.sink.offset)
    if not hits_producer:  # else the damage may have been to an ack
        assert world.producer.acked_offset <= world.sink.offset
    healthy = world.dial()
    world.settle()
    world.send(2)
    healthy.sender.send_final_beat(world.now)
    world.settle()
    assert world.sink.offset >= 2
    assert world.sink.stored == number_lines(0, world.sink.offset)
    assert healthy.sender.is_settled
    return wire.passed


@pytest.mark.parametrize("hits_producer", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_revocable_sink_never_gets_a_damaged_number_no_matter_which_byte_is_hit(
    damage: str, hits_producer: bool
) -> None:
    at = 0
    while at < live(DAMAGES[damage], at, hits_producer=hits_producer):
        at += 1
    assert at > 90


def pieces() -> Iterator[bytes]:
    yield from (HELLO, open_line(), b"#wait\n", b"#resume offset=1200\n", b"#resume\n", b"52\n", number_lines(0, 20))
    yield from (beat_line(1200), beat_line(1201, b"52\n"), b"#ack offset=1200\n", b"#ack offset=1201 t=99\n")
    yield from (b"#wait by=producer-1 offset=1200\n", b"#wait\n" * 17, b"#resume offset=1200 after=promotion\n")
    yield from (b"#close reason=busy\n", b"#close reason=never-heard\n", beat_line(2**63 - 1))
    yield from (b"\n", b"#", b"-", b"#\n", b" ", b"\x00", b"\xff\n", b"1" * 64, b"#" * 512, b"#open check=00000000\n")


GARBAGE = st.one_of(
    st.lists(st.one_of(st.sampled_from([*pieces()]), st.binary(max_size=20)), max_size=8).map(b"".join),
    st.tuples(st.sampled_from([*pieces()]), st.integers(0, 200), st.binary(max_size=2)).map(
        lambda p: p[0][: p[1]] + p[2] + p[0][p[1] + len(p[2]) :]
    ),
)
STATES = len([*ends_in_every_state()])


def drive(end: End, data: bytes, now: float) -> list[object]:
    """Feed `data` and answer as a driver would."""
    events = end.receive_data(data, now)
    for event in events:
        if isinstance(end, Sender) and isinstance(event, Greeted):
            end.open(STREAM, DISTRIBUTION, first_offset=0, now=now)
        if isinstance(end, Receiver) and isinstance(event, Opened):
            end.ask(Wait("producer-1", 1200), 1.0, now)
            if end.state is State.WAITING and now > START:
                end.resume(Resume(1200), now)
        if isinstance(end, Receiver):
            end.acknowledge(1201, now)
    due = end.handle_timer(now)
    if isinstance(end, Receiver) and AskDue() in due:
        end.ask(Wait(), 1.0, now)
    return [*events, *due]


@given(which=st.integers(0, STATES - 1), slices=st.lists(GARBAGE, max_size=6), wait=st.sampled_from([0.0, 0.4, 1.1]))
@repeatable(200)
def test_no_bytes_make_an_end_raise_and_all_it_ever_says_is_whole_lines(
    which: int, slices: list[bytes], wait: float
) -> None:
    end = [*ends_in_every_state()][which]
    was_closed = end.state is State.CLOSED
    events, said = [], sent(end)
    for turn, data in enumerate(slices):
        events += drive(end, data, START + turn * wait)
        said += sent(end)
    assert said.endswith(b"\n") or not said
    assert all(len(line) <= 512 for line in said.splitlines(keepends=True))
    assert sum(isinstance(event, Closed) for event in events) == (end.state is State.CLOSED and not was_closed)
    assert not any(isinstance(event, Closed) for event in events[:-1])
    closes = [line.startswith(b"#close ") for line in said.splitlines()]
    assert not any(closes[:-1])
