"""The generator: NumPy's own in everything, on the words of a stream; children that are never given out twice."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator, Philox

from randstream.numbers.generator import StreamSeedSequence, make_generator
from randstream.numbers.stream import NumberStream

LAST = 2**63 - 1
KEY = (0x0123456789ABCDEF, 0xFEDCBA9876543210)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(lambda each, protocol=protocol: pickle.loads(pickle.dumps(each, protocol)) for protocol in PROTOCOLS),
]


def made(offset: int = 0) -> Generator:
    return make_generator(KEY, offset)


def numpys(offset: int) -> Generator:
    """The same without us: a Philox of that key, from which `offset` words were drawn."""
    philox = Philox(key=np.array(KEY, np.uint64))
    philox.advance(offset // 4)
    philox.random_raw(offset % 4, output=False)
    return Generator(philox)


def key_of(generator: Generator) -> tuple[int, ...]:
    state: Any = generator.bit_generator.state
    return tuple(state["state"]["key"].tolist())


def sequence_of(generator: Generator) -> Any:
    return generator.bit_generator.seed_seq


def same_state(one: Generator, other: Generator) -> bool:
    return repr(one.bit_generator.state) == repr(other.bit_generator.state)


# Where it stands


@pytest.mark.parametrize("offset", [*range(9), 1_000_003, 2**32 - 1, 2**32 + 2, 2**62 + 1, LAST - 3, LAST - 1])
def test_the_next_word_is_the_streams_word_of_that_offset(offset: int) -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    count = min(11, LAST - offset)
    bits = stream.generator(offset).bit_generator
    assert np.array_equal(bits.random_raw(count), stream.read(offset, count))
    assert stream.generator(offset).bit_generator.random_raw() == int(stream.read(offset, 1)[0])


def test_it_stands_on_the_words_that_the_numbers_are_made_from() -> None:
    stream = NumberStream("42", "worker-0", "normal:0:1")
    words = stream.generator(5).bit_generator.random_raw(100)
    assert np.array_equal(stream.distribution.from_words(words), stream.read(5, 100))


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 7, 2**40 + 1, LAST])
def test_it_is_numpys_philox_after_that_many_draws(offset: int) -> None:
    assert type(made(offset)) is Generator
    assert type(made(offset).bit_generator) is Philox
    assert same_state(made(offset), numpys(offset))


def test_it_goes_on_beyond_the_end_of_the_stream() -> None:
    assert np.array_equal(made(LAST - 2).bit_generator.random_raw(8)[2:], made(LAST).bit_generator.random_raw(6))


@pytest.mark.parametrize("offset", [-1, 2**63, np.uint64(2**63)])
def test_an_offset_beyond_the_stream_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match=r"^offset is "):
        NumberStream("42", "worker-0", "bits64").generator(offset)


@pytest.mark.parametrize("offset", [5.0, "5", None])
def test_an_offset_that_is_no_integer_is_refused(offset: Any) -> None:
    with pytest.raises(TypeError, match=r"^offset is "):
        NumberStream("42", "worker-0", "bits64").generator(offset)


# What NumPy does with it


DRAWS: dict[str, tuple[Any, ...]] = {
    "beta": (2, 3), "binomial": (10, 0.3), "chisquare": (3,), "choice": (100,), "dirichlet": ((1, 2, 3),),
    "exponential": (), "f": (2, 3), "gamma": (2,), "geometric": (0.3,), "gumbel": (), "hypergeometric": (5, 6, 7),
    "integers": (100,), "laplace": (), "logistic": (), "lognormal": (), "logseries": (0.3,),
    "multinomial": (10, (0.2, 0.8)), "multivariate_hypergeometric": ((3, 4, 5), 6),
    "multivariate_normal": ((0, 1), ((1, 0), (0, 1))), "negative_binomial": (5, 0.4), "noncentral_chisquare": (3, 2),
    "noncentral_f": (2, 3, 1), "normal": (), "pareto": (3,), "poisson": (20,), "power": (3,), "random": (),
    "rayleigh": (), "standard_cauchy": (), "standard_exponential": (), "standard_gamma": (2,), "standard_normal": (),
    "standard_t": (3,), "triangular": (0, 1, 2), "uniform": (), "vonmises": (0, 1), "wald": (1, 2), "weibull": (2,),
    "zipf": (2,), "bytes": (33,), "permutation": (20,), "permuted": (range(20),),
}  # fmt: skip
"""Every method of a Generator that draws, and what it needs."""


def test_every_distribution_of_numpy_is_tried() -> None:
    methods = {name for name, _ in inspect.getmembers(Generator, inspect.isroutine) if not name.startswith("_")}
    assert methods - {"spawn", "shuffle"} == DRAWS.keys()


@pytest.mark.parametrize(("method", "arguments"), DRAWS.items())
@pytest.mark.parametrize("offset", [0, 3])
def test_every_distribution_draws_what_it_draws_of_numpys_own(method: str, arguments: Any, offset: int) -> None:
    ours, its = made(offset), numpys(offset)
    for _ in range(3):
        assert np.array_equal(getattr(ours, method)(*arguments), getattr(its, method)(*arguments))
    assert same_state(ours, its)


def test_half_a_word_that_was_kept_is_not_lost() -> None:
    ours, its = made(2), numpys(2)
    for generator in (ours, its):
        generator.integers(2**32, dtype=np.uint32)
    assert ours.bit_generator.state["has_uint32"] == 1
    again: Generator = pickle.loads(pickle.dumps(ours))
    for _ in range(5):
        drawn = [generator.integers(2**32, dtype=np.uint32) for generator in (ours, its, again)]
        assert len(set(drawn)) == 1


def test_jumped_and_advance_are_philoxs_own() -> None:
    ours: Any = made(3).bit_generator
    its: Any = numpys(3).bit_generator
    assert repr(ours.jumped().state) == repr(its.jumped().state)
    assert repr(ours.jumped(2).advance(5).state) == repr(its.jumped(2).advance(5).state)
    assert np.array_equal(made().bit_generator.advance(25).random_raw(9), made(100).bit_generator.random_raw(9))  # type: ignore[attr-defined] # Philox's


def test_a_state_that_was_saved_is_gone_back_to() -> None:
    generator = made(7)
    saved = generator.bit_generator.state
    first = generator.normal(size=100)
    generator.bit_generator.state = saved
    assert np.array_equal(generator.normal(size=100), first)


@pytest.mark.parametrize("copied", COPIES)
def test_copies_draw_and_spawn_the_same(copied: Callable[[Any], Any]) -> None:
    generator = made(6)
    generator.random(3)
    generator.spawn(2)
    again = copied(generator)
    expected, bits = copy.deepcopy(generator), copied(generator.bit_generator)
    assert np.array_equal(again.random(9), expected.random(9))
    assert np.array_equal(Generator(bits).random(9), numpys(9).random(9))
    if copied is not copy.copy:  # as of NumPy's own, both have one seed sequence
        assert [key_of(child) for child in again.spawn(2)] == [key_of(child) for child in expected.spawn(2)]


# Children


def test_a_child_is_numpys_child_of_the_key_and_the_offset() -> None:
    first, second = made(2**32 + 5).spawn(2)
    (grandchild,) = second.spawn(1)
    entropy = [0x89ABCDEF, 0x01234567, 0x76543210, 0xFEDCBA98, 5, 1]
    for child, path in ((first, (0,)), (second, (1,)), (grandchild, (1, 0))):
        assert same_state(child, Generator(Philox(np.random.SeedSequence(entropy, spawn_key=path))))


def test_a_child_is_the_known_answer() -> None:
    (child,) = made(5).spawn(1)
    assert child.bit_generator.random_raw() == 1778362811541069816


def test_children_are_the_same_every_time_however_much_was_drawn() -> None:
    drawn_from = made(5)
    drawn_from.random(1000)
    assert [key_of(child) for child in drawn_from.spawn(3)] == [key_of(child) for child in made(5).spawn(3)]


def test_no_key_is_given_out_twice() -> None:
    family = []
    for offset in (0, 1, 4):
        for stream in ("42", "43"):
            parent = NumberStream(stream, "worker-0", "bits64").generator(offset)
            children = [*parent.spawn(3), *parent.spawn(3), *Generator(parent.bit_generator).spawn(2)]
            bits = [Generator(each) for each in parent.bit_generator.spawn(2)]
            family += [*children, *bits, *children[0].spawn(4), *children[1].spawn(4)[0].spawn(12)]
            if not offset:
                family.append(parent)
    assert len({key_of(each) for each in family}) == len(family)
    assert len({each.bit_generator.random_raw() for each in family}) == len(family)


def test_spawn_keys_and_counts_are_kept_as_numpy_keeps_them() -> None:
    ours, its = made(), Generator(Philox(7))
    for generator in (ours, its):
        generator.spawn(2)
        child = generator.spawn(2)[1]
        grandchild = child.spawn(1)[0]
        assert sequence_of(generator).n_children_spawned == 4
        assert sequence_of(child).spawn_key == (3,)
        assert sequence_of(child).n_children_spawned == 1
        assert sequence_of(grandchild).spawn_key == (3, 0)
        assert generator.spawn(0) == []


@pytest.mark.parametrize("n_children", [-1, -(2**40)])
def test_children_less_than_none_are_refused(n_children: int) -> None:
    generator = made()
    generator.spawn(3)
    with pytest.raises(ValueError, match="n_children"):
        sequence_of(generator).spawn(n_children)
    with pytest.raises((ValueError, OverflowError)):
        generator.spawn(n_children)
    assert sequence_of(generator.spawn(1)[0]).spawn_key == (3,)


def test_an_offset_is_not_confused_with_a_path() -> None:
    (child,) = made(5 + (7 << 32)).spawn(1)
    (grandchild,) = made(5).spawn(8)[7].spawn(1)
    assert key_of(child) != key_of(grandchild)


def test_children_do_not_depend_on_who_asks() -> None:
    by_generator, by_bits, by_sequence = made(), made(), made()
    keys = [key_of(child) for child in by_generator.spawn(2)]
    assert [key_of(Generator(child)) for child in by_bits.bit_generator.spawn(2)] == keys
    assert [key_of(Generator(Philox(child))) for child in sequence_of(by_sequence).spawn(np.uint8(2))] == keys


def test_threads_that_spawn_at_once_share_no_child() -> None:
    sequence = sequence_of(made())
    start = threading.Barrier(8)
    spawned: list[Any] = []

    def spawn() -> None:
        start.wait()
        for _ in range(20):
            spawned.extend(sequence.spawn(3))

    threads = [threading.Thread(target=spawn) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(child.spawn_key for child in spawned) == [(n,) for n in range(480)]
    assert sequence.n_children_spawned == 480


def test_words_of_children_do_not_correlate() -> None:
    draws = np.array([generator.random(4096) for generator in [made(), *made().spawn(15)]])
    correlations = np.corrcoef(draws)[np.triu_indices(16, 1)]
    assert np.abs(correlations).max() < 5 / 64  # five standard deviations, of 120


# The seed sequence


def test_the_sequence_is_one_of_numpys() -> None:
    """Dask and others ask, and seed a bit generator of the same kind with a child of it in another process."""
    assert isinstance(sequence_of(made()), np.random.SeedSequence)


def test_a_philox_seeded_with_it_stands_at_the_first_word() -> None:
    assert same_state(Generator(Philox(sequence_of(made(1000)))), numpys(0))


def test_every_other_bit_generator_can_be_seeded_with_it() -> None:
    for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.SFC64, np.random.MT19937):
        parent, child = (kind(sequence_of(each)) for each in (made(), made().spawn(1)[0]))
        assert parent.random_raw() != child.random_raw()


@pytest.mark.parametrize("n", [0, 1, 4, 5, 20, 624])
def test_a_state_is_a_beginning_of_all_longer_ones_in_either_width(n: int) -> None:
    sequence = sequence_of(made())
    longest = sequence.generate_state(1000, np.uint64)
    assert longest[:2].tolist() == list(KEY)
    assert np.array_equal(sequence.generate_state(n, "uint64"), longest[:n])
    halves = np.stack([longest & 0xFFFFFFFF, longest >> np.uint64(32)], axis=1).ravel()
    assert np.array_equal(sequence.generate_state(n), halves[:n])
    assert sequence.generate_state(n).dtype == np.uint32


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_of_a_sequence_goes_on_where_it_was(copied: Callable[[Any], Any]) -> None:
    sequence = sequence_of(made(9)).spawn(3)[2]
    sequence.spawn(4)
    again = copied(sequence)
    assert type(again) is StreamSeedSequence
    assert repr(again) == repr(sequence)
    assert again.spawn(1)[0].generate_state(2).tolist() == sequence.spawn(1)[0].generate_state(2).tolist()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_pickle_holds_the_seed(protocol: int) -> None:
    stream = NumberStream("correct horse", "worker-0", "bits64")
    generator = stream.generator(4)
    for each in (stream, generator, generator.bit_generator, sequence_of(generator), generator.spawn(1)):
        assert b"horse" not in pickle.dumps(each, protocol)


# Processes


POOLS = """
from copy import deepcopy
from multiprocessing import get_context
from numpy.random import Generator
from randstream import NumberStream

stream = NumberStream("42", "worker-0", "bits64")
for method in ("fork", "spawn"):
    with get_context(method).Pool(2) as pool:
        parts = pool.starmap(stream.read, [(3, 10_000), (10_003, 10_000)])
        assert [*parts[0], *parts[1]] == stream.read(3, 20_000).tolist()
        assert pool.apply(deepcopy, (stream,)) == stream
        drawn = pool.starmap(Generator.normal, [(child, 0, 1, 5) for child in stream.generator(3).spawn(2)])
        assert [x.tolist() for x in drawn] == [c.normal(0, 1, 5).tolist() for c in stream.generator(3).spawn(2)]
print("the same")
"""


@pytest.mark.slow
def test_pools_of_processes_draw_what_this_process_draws() -> None:
    python = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", POOLS]  # of a fork beside NumPy's threads
    run = subprocess.run(python, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("the same\n", "")
