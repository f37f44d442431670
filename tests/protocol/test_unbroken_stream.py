"""Whatever happens to connections and processes, whenever: the sink holds the stream, exactly, and acks never lie."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.protocol.network import ImmediateSink, RevocableSink, Sink, Wire, World, number_lines, repeatable

from randstream.protocol.states import State

SLICES = st.one_of(st.integers(1, 80), st.just(2**20))
WHICH = st.integers(0, 3)
COUNTS = st.integers(1, 40)


class Life(RuleBasedStateMachine):
    """Every step that the network, the clock, the disk or a killer can take."""

    make_sink: type[Sink] = RevocableSink

    @initialize(heartbeat=st.sampled_from([0.05, 1.0, 60.0]))
    def begin(self, heartbeat: float) -> None:
        self.world = World(self.make_sink(), heartbeat)
        self.world.dial()
        self.world.settle()

    def wire(self, which: int) -> Wire:
        """The newest for 0; those before it, as long as they are remembered, for more."""
        return self.world.wires[-1 - which % len(self.world.wires)]

    def pass_heartbeats(self, heartbeats: float) -> None:
        self.world.pass_time(heartbeats * self.world.producer.heartbeat)

    @rule(bursts=st.lists(st.tuples(COUNTS, st.sampled_from([0.1, 0.5, 0.8, 1.0])), min_size=1, max_size=4))
    def stream(self, bursts: list[tuple[int, float]]) -> None:
        """All goes well for a while."""
        for count, heartbeats in bursts:
            self.world.settle()
            self.world.send(count)
            self.pass_heartbeats(heartbeats)

    @rule(count=COUNTS)
    def send(self, count: int) -> None:
        self.world.send(count)

    @rule(which=WHICH, size=SLICES)
    def deliver_to_worker(self, which: int, size: int) -> None:
        self.world.deliver_to_worker(self.wire(which), size)

    @rule(which=WHICH, size=SLICES)
    def deliver_to_producer(self, which: int, size: int) -> None:
        self.world.deliver_to_producer(self.wire(which), size)

    @rule(which=WHICH)
    def write_more(self, which: int) -> None:
        """The worker's socket takes more, so that several of its lines are under way together."""
        self.wire(which).write_more()

    @rule(heartbeats=st.sampled_from([0.1, 0.3, 0.8, 1.0, 1.3, 2.0, 3.0, 20.0]))
    def pass_time(self, heartbeats: float) -> None:
        self.pass_heartbeats(heartbeats)

    @rule(count=COUNTS)
    def begin_commit(self, count: int) -> None:
        """Something is proven, and begins to be written."""
        self.world.send(count)
        self.pass_heartbeats(1.0)
        for wire in self.world.wires:
            self.world.deliver_to_worker(wire, 2**20)
        self.world.sink.begin_commit()

    @rule(fails=st.booleans())
    def end_commit(self, fails: bool) -> None:
        if fails:
            self.world.worker.fail_commit(self.world.now)
        else:
            self.world.worker.end_commit(self.world.now)

    @rule(takes_long=st.booleans())
    def open_sink(self, takes_long: bool) -> None:
        """Until the sink is open, no producer is promoted."""
        self.world.worker.is_held_up = takes_long
        self.world.worker.promote(self.world.now)

    @rule(shakes_hands=st.booleans())
    def stand_by(self, shakes_hands: bool) -> None:
        """One more producer gets in line, and at most one ask and its answer pass."""
        self.world.dial(is_second=True)
        for _ in range(3 if shakes_hands else 0):
            self.world.deliver_to_producer(self.world.wires[-1], 2**20)
            self.world.deliver_to_worker(self.world.wires[-1], 2**20)

    @rule()
    def hand_over(self) -> None:
        self.world.worker.hand_over(self.world.now)

    @rule(
        which=WHICH,
        what=st.sampled_from(["cut", "dial again", "second producer", "producer restart", "worker restart"]),
        intervals_on_disk=st.integers(0, 3),
        shakes_hands=st.booleans(),
    )
    def disrupt(self, which: int, what: str, intervals_on_disk: int, shakes_hands: bool) -> None:
        match what:
            case "cut":
                self.world.cut(self.wire(which))
            case "dial again":
                self.world.dial()
            case "second producer":
                self.world.dial(is_second=True)
            case "producer restart":
                self.world.restart_producer()
            case "worker restart":
                self.world.restart_worker(intervals_on_disk)
                self.world.dial()
        if shakes_hands:
            for _ in range(4):
                self.world.deliver_to_producer(self.world.wires[-1], 2**20)
                self.world.deliver_to_worker(self.world.wires[-1], 2**20)

    @invariant()
    def the_sink_holds_the_stream(self) -> None:
        assert self.world.sink.stored == self.world.sink.expected

    def teardown(self) -> None:
        """If one of the line lives and answers, it comes to serve: the stream goes on where the sink stands."""
        if not hasattr(self, "world"):
            return
        self.world.dial(is_second=True)
        for _ in range(20):
            self.world.settle()
            self.pass_heartbeats(0.4)
        self.world.settle()
        (wire,) = [wire for wire in self.world.wires if wire.receiver.state is State.STREAMING]
        wire.sender.send_numbers(number_lines(wire.sender.offset, 3), 3, self.world.now)
        wire.sender.send_final_beat(self.world.now)
        self.world.settle()
        assert wire.sender.is_settled
        assert self.world.sink.offset == wire.sender.offset
        self.the_sink_holds_the_stream()


class LifeOfAStore(Life):
    @invariant()
    def what_is_acked_is_stored(self) -> None:
        for wire in self.world.wires:
            assert wire.producer.acked_offset <= self.world.sink.offset


class LifeOfAPipe(Life):
    make_sink = ImmediateSink


class LifeWithDamage(Life):
    """Bytes change under way: no ack can be believed then, but the store stays a prefix of the stream."""

    @rule(which=WHICH, at=st.integers(0, 400), damage=st.data(), hits_producer=st.sampled_from([False, False, True]))
    def damage(self, which: int, at: int, damage: st.DataObject, hits_producer: bool) -> None:
        if at % 2:
            self.world.settle()
        self.world.send(at % 7)
        self.pass_heartbeats(1.0)
        wire = self.wire(which)
        wire.fill()
        under_way = wire.to_producer if hits_producer else wire.to_worker
        if under_way:
            at %= len(under_way)
            match damage.draw(st.sampled_from(["flip", "insert", "delete", "repeat"])):
                case "flip":
                    under_way[at] ^= damage.draw(st.one_of(st.just(1), st.integers(1, 255)))
                case "insert":
                    under_way[at:at] = damage.draw(st.binary(min_size=1, max_size=4))
                case "delete":
                    del under_way[at : at + damage.draw(st.integers(1, 60))]
                case "repeat":
                    under_way[at:at] = under_way[at : at + damage.draw(st.integers(1, 60))]


def test_promise_a_store_stays_an_exact_prefix_through_cuts_takeovers_hand_overs_restarts_and_slow_commits() -> None:
    run_state_machine_as_test(LifeOfAStore, settings=repeatable(70, stateful_step_count=50))


def test_immediate_sink_gets_no_gap_and_no_repeat_through_cuts_takeovers_hand_overs_and_restarts() -> None:
    run_state_machine_as_test(LifeOfAPipe, settings=repeatable(40, stateful_step_count=50))


def test_revocable_sink_never_gets_a_damaged_number_whatever_bytes_change_under_way() -> None:
    run_state_machine_as_test(LifeWithDamage, settings=repeatable(70, stateful_step_count=50))
