"""Writes the vectors: `python -m docs.vectors.make`. Nothing of randstream is used here.

Numbers, texts, checksums and ranks come from `reckon`. What must come back in a conversation, and what becomes of a
store, is written out by hand below. `tests/project/test_vectors.py` holds randstream to all of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any, Final

from .reckon import branch, crc32c, float_text, identity, number, poisson_steps, rank, word

FOLDER: Final = Path(__file__).parent
LAST: Final = 2**64 - 1
OFFSETS: Final = (0, 1, 2, 3, 4, 7, 2**32 - 1, 2**32, 2**63 - 2)

Lines = list[dict[str, Any]]


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    made = {
        "seeds": seeds(),
        "streams": streams(),
        "numbers": numbers(),
        "float-text": float_texts(),
        "crc32c": checksums(),
        "ranks": ranks(),
        "lines": lines(),
        "conversations": conversations(),
        "stores": stores(),
    }
    return {f"{name}.jsonl": "".join(f"{json.dumps(line)}\n" for line in made[name]) for name in made}


# ---- numbers


def seeds() -> Lines:
    """What is hashed of a seed; None: it is none."""
    made = []
    for given, used, about in (
        ("42", "42", "ASCII is itself"),
        ("# correct  horse", "# correct  horse", "and so is all that is printable within it"),
        (" \t\v\f\r\n42 \t\v\f\r\n", "42", "ASCII white space at both ends"),
        ("\ufeff42\r\n", "42", "a byte-order mark"),
        ("\ufeff \n42", "42", "a byte-order mark before white space"),
        ("Zu\u0308rich", "Z\u00fcrich", "a letter and its diaeresis are one character"),
        ("Z\u00fcrich", "Z\u00fcrich", "one character"),
        ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m", "the unit is the letter"),
        ("e\u0323\u0302", "\u1ec7", "two marks"),
        ("e\u0302\u0323", "\u1ec7", "two marks in another order"),
        ("\u1112\u1161\u11ab", "\ud55c", "Hangul by its parts"),
        ("\ufb01n", "\ufb01n", "compatibility characters stay"),
        ("\u03c0\u00a0and\u200dmore", "\u03c0\u00a0and\u200dmore", "what is at no end stays"),
        ("\U0001f600\ufe0f", "\U0001f600\ufe0f", "beyond 16 bits"),
        ("", None, "empty"),
        (" \r\n", None, "nothing but white space"),
        ("\ufeff", None, "nothing but a byte-order mark"),
        ("42\n43\n", None, "a second line"),
        ("42\r43", None, "a second line"),
        ("42\u0000", None, "NUL"),
        ("four\ttwo", None, "a control character"),
        ("four\u007ftwo", None, "a control character"),
        ("four\u0085two", None, "a control character"),
        ("\u001c42", None, "a control character, which some count as white space"),
        ("four\u2028two", None, "a line separator"),
        ("four\u2029two", None, "a paragraph separator"),
        ("42\u00a0", None, "a no-break space at the end"),
        ("\u00a042", None, "and at the beginning"),
        ("42\u00a0\n", None, "and before white space"),
        ("\u200042", None, "a space that NFC makes another one"),
        ("42\u200b", None, "a space of no width at the end"),
        ("42\ufeff", None, "a byte-order mark at the end"),
        ("\ufeff\ufeff42", None, "a second byte-order mark"),
        (" \ufeff42", None, "a byte-order mark that is not the first"),
        ("42\uffff", None, "no character"),
    ):
        made.append({"seed": given, "seed_used": used, "about": about})
    return made


def streams() -> Lines:
    """Identities, words and numbers at chosen offsets."""
    made = []
    for seed, used, worker, given, canonical in (
        ("42", "42", "worker-0", "integers:1:100", "integers:1:100"),
        ("42", "42", "worker-1", "integers:1:100", "integers:1:100"),
        (" \t42\n", "42", "worker-0", "integers:+1:0100", "integers:1:100"),
        ("43", "43", "worker-0", "integers:1:100", "integers:1:100"),
        ("\u03c0 and more", "\u03c0 and more", "A.b_c-9", "bits64", "bits64"),
        ("42", "42", "worker-0", "integers:-2147483648:2147483647", "integers:-2147483648:2147483647"),
        (
            "42",
            "42",
            "worker-0",
            "integers:-9223372036854775808:+9223372036854775807",
            "integers:-9223372036854775808:9223372036854775807",
        ),
        ("42", "42", "worker-0", "bernoulli:.25", "bernoulli:0.25"),
        ("42", "42", "worker-0", "poisson:1e3", "poisson:1000.0"),
        ("42", "42", "worker-0", "uniform:-0:1", "uniform:0.0:1.0"),
        ("42", "42", "worker-0", "exponential:1e16", "exponential:1e+16"),
        ("42", "42", "worker-0", "normal:100:15e-7", "normal:100.0:1.5e-6"),
        ("42", "42", "raw-127.0.0.1-9000", "normal:0:1", "normal:0.0:1.0"),
    ):
        key, stream = identity(used, worker, canonical)
        words = {n: word(key, n) for n in OFFSETS}
        made.append({
            "seed": seed, "seed_used": used, "worker": worker, "numbers": given, "canonical": canonical,
            "key": [str(half) for half in key], "stream": stream,
            "words": {str(n): str(words[n]) for n in words},
            "texts": {str(n): number(canonical, words[n]) for n in words},
        })  # fmt: skip
    return made


def numbers() -> Lines:
    """Words that reach every branch, and both sides of each boundary."""
    made = []
    for spelling in (
        "integers:1:100", "integers:-5:5", "integers:7:7", "integers:0:4294967295",
        "integers:-9223372036854775808:-9223372036854775807",
        "integers:9223372036854775806:9223372036854775807", "integers:0:4294967296", "integers:-9999999999:9999999999",
        "integers:-4611686018427387904:4611686018427387903", "integers:-9223372036854775807:9223372036854775807",
        "integers:-9223372036854775808:9223372036854775807", "bits64",
        "bernoulli:0.0", "bernoulli:5e-324", "bernoulli:5.421010862427522e-20", "bernoulli:0.1", "bernoulli:0.5",
        "bernoulli:0.9999999999999999", "bernoulli:1.0",
        "poisson:0.0", "poisson:1e-9", "poisson:0.5", "poisson:30.0", "poisson:999.9", "poisson:1000.0",
        "uniform:0.0:1.0", "uniform:-1.0:1.0", "uniform:1e+16:1e+17", "uniform:0.0:0.00001", "uniform:5.0:5.0",
        "exponential:1.0", "exponential:0.0", "exponential:1e-10", "exponential:1e+300",
        "normal:0.0:1.0", "normal:100.0:15.0", "normal:-1e-9:0.0", "normal:0.0:1e+20",
    ):  # fmt: skip
        for each in _words(spelling):
            made.append({"numbers": spelling, "word": str(each), "branch": branch(spelling, each),
                         "text": number(spelling, each)})  # fmt: skip
    return made


def _words(spelling: str) -> list[int]:
    near = {0, 1, 2**11 - 1, 2**11, 2**12 - 1, 2**12, 2**63 - 1, 2**63, 3 * 2**62, 2**62}
    near |= {2**n for n in (13, 16, 20, 24, 28, 32, 40, 48, 56, 60, 61)}
    chosen = {each for low in near for each in (low, LAST - low)}
    kind, *parameters = spelling.split(":")
    if kind == "integers":
        span = int(parameters[1]) - int(parameters[0]) + 1
        steps = {1, 2, span // 2, span - 1} - {0, span}
        chosen |= {-(-step * 2**64 // span) - side for step in steps if step < span for side in (0, 1)}
    elif kind == "bernoulli":
        ones = floor(Fraction(parameters[0]) * 2**64)
        chosen |= {word for word in (LAST - ones, 2**64 - ones) if 0 <= word <= LAST}
    elif kind == "poisson":
        thresholds = poisson_steps(float(parameters[0]))
        some = thresholds[:: max(1, len(thresholds) // 20)]
        chosen |= {threshold - side for threshold in some if threshold for side in (0, 1)}
    else:
        ordered = sorted(chosen)
        for low, high in pairwise(ordered):
            chosen |= set(_boundary(spelling, low, high))
    return sorted(chosen)


def _boundary(spelling: str, low: int, high: int) -> Iterator[int]:
    """The neighbours between `low` and `high` of which one takes another branch than the other."""
    there = branch(spelling, low)
    if there == branch(spelling, high):
        return
    while high - low > 1:
        middle = (low + high) // 2
        if branch(spelling, middle) == there:
            low = middle
        else:
            high = middle
    yield low
    yield high


def float_texts() -> Lines:
    """Floats by their bits, and their text."""
    values = [
        0.0, 1.0, -1.0, 100.0, 0.1, -0.1, 1 / 3, 0.00001, 9.999999999999999e-6, 0.000012345678901234568, 1.5e-7,
        -1e-10, 5e-324, 2.2250738585072014e-308, 123456789012345.67, 9007199254740992.0, 9007199254740993.0,
        9999999999999998.0, 1e15, 1e16, -1e16, 10000000000000002.0, -1.2345678901234568e16, 1e17, 1e21, 1e22, 1e23,
        1.7976931348623157e308, 0.0001, 0.001, 0.5, 12.0, 1e-5, 1e-6, 1.1e-6, 4.35, 0.3, 2e-3, 8.41e21, 2.0**-44,
    ]  # fmt: skip
    return [{"bits": struct.pack(">d", value).hex(), "text": float_text(value)} for value in values]


def checksums() -> Lines:
    """Texts and their CRC-32C."""
    texts = [
        "", "123456789", "52\n78\n", "\n", "-0.5\n1e+16\n", "10\n60\n77\n74\n14\n", "a" * 64, "7\n" * 500,
        OFFER.rpartition(" check=")[0],
    ]  # fmt: skip
    return [{"text": text, "crc": crc32c(text.encode())} for text in texts]


def ranks() -> Lines:
    """Which producer a worker prefers: the higher, the better."""
    names = ["producer-0", "producer-1", "producer-2", "a", "Z.9_x-"]
    return [{"worker": worker, "producer": producer, "rank": rank(worker, producer)}
            for worker in ("worker-0", "worker-1", "worker-2", "w") for producer in names]  # fmt: skip


# ---- lines


def an_offer(worker: str = "worker-0", numbers: str = "integers:1:100", more: str = "", **other: str) -> str:
    """An `#open`, without its LF. `other`: values of keys, in place of the usual ones."""
    values = {
        "worker": worker, "stream": identity("42", "worker-0", "integers:1:100")[1], "numbers": numbers,
        "producer": "producer-0", "heartbeat": "1.0", **other,
    }  # fmt: skip
    line = "#open" + "".join(f" {key}={value}" for key, value in values.items()) + more
    return f"{line} check={crc32c(line.encode())}"


OFFER: Final = an_offer()


def lines() -> Lines:
    """Control lines without their LF, and what a reader makes of them."""
    name = "n" * 128
    verdicts: dict[str, tuple[str, ...]] = {
        "ok": (
            "#hello randstream/1 worker=worker-0", f"#hello randstream/1 worker={name}",
            "#hello randstream/1 colour=red worker=worker-0", OFFER, an_offer(heartbeat="1"),
            an_offer(heartbeat="0.05"), an_offer(heartbeat="60"), an_offer(more=" instance=5f0c8e2b94d1a637"),
            an_offer(more=" colour=#ff=0"),
            "#wait", "#wait by=producer-0 offset=0", "#wait offset=9223372036854775807 stream=6ae2a63a0ac05109",
            "#resume", "#resume offset=1200 after=start", "#resume after=some-new-word", "#resume colour=a colour=b",
            "#beat offset=0 crc=00000000 t=0", "#beat t=99999999999999999999 crc=ffffffff offset=1",
            "#ack offset=5", "#ack offset=5 t=17", "#close reason=shutdown", "#close reason=nobody-knows-this",
            "#wait colour=" + "x" * (511 - 13),
        ),
        "malformed": (
            "#hello", "#hello worker=worker-0", "#hello randstream/1", "#hello randstream/1 worker=",
            "#hello randstream/1 worker=-a", f"#hello randstream/1 worker={name}n",
            "#hello randstream/1 worker=a worker=a",
            OFFER.replace("producer-0", "producer-1"), OFFER.replace(" check=", " Check="), f"{OFFER} colour=red",
            an_offer(heartbeat="0.049"), an_offer(heartbeat="60.001"), an_offer(heartbeat="1e0"),
            an_offer(stream="6AE2"), an_offer(more=" instance=5f0c"), an_offer(more=" check=00000000"),
            an_offer(numbers="Integers:1:100"),
            "#Wait", "#waits", "#", "# wait", "#wait by", "#wait =1", "#wait colour=", "#wait  by=a", "#wait ",
            "#wait colour=\u0007", "#wait\r", "#wait\tby=a", "#wait offset=01", "#wait offset=9223372036854775808",
            "#wait offset=-1", "#wait stream=6ae2", "#resume offset=1 offset=1", "#resume after=A", "#resume offset=",
            "#beat", "#beat offset=0 crc=00000000", "#beat offset=0 t=1", "#beat crc=00000000 t=1",
            "#beat offset=0 crc=0000000 t=1", "#beat offset=0 crc=0000000A t=1", "#beat offset=0 crc=00000000 t=1.5",
            "#beat offset=0 crc=00000000 t=100000000000000000000", "#ack", "#ack t=1", "#ack offset=1e3",
            "#close", "#close reason=", "#close reason=Shutdown", "#close shutdown",
        ),
        "version": ("#hello randstream/2 worker=worker-0", "#hello randstream/1.1", "#hello nats worker=a"),
        "too-long": ("#wait colour=" + "x" * (512 - 13),),
    }  # fmt: skip
    return [{"line": line, "verdict": verdict} for verdict in verdicts for line in verdicts[verdict]]


# ---- conversations


def hears(at: float, *texts: str) -> dict[str, Any]:
    """At `at` seconds the one under test reads this."""
    return {"at": at, "hears": "".join(f"{text}\n" for text in texts)}


def says(at: float, *texts: str) -> dict[str, Any]:
    """By `at` seconds it has said this, and nothing else since the step before."""
    return {"at": at, "says": "".join(f"{text}\n" for text in texts)}


def does(at: float, **what: Any) -> dict[str, Any]:
    """At `at` seconds it does this of its own accord."""
    return {"at": at, "does": what}


HELLO: Final = "#hello randstream/1 worker=worker-0"
RUN: Final = "52\n78"
CRC: Final = crc32c(b"52\n78\n")


def conversations() -> Lines:
    """What both ends must answer, byte by byte."""
    greeted = [says(0, HELLO)]
    opened = [*greeted, hears(0.1, OFFER), says(0.1, "#resume offset=1200 after=start")]
    started = [*opened, hears(0.2, "#beat offset=1200 crc=00000000 t=1"), says(0.2, "#ack offset=1200 t=1")]
    chosen = [*greeted, hears(0.1, OFFER), says(0.1, "#resume after=start")]
    last = 2**63 - 1
    worker = {
        "a stream, and its polite end": (1200, ["resume", "beat-checks", "ack-t"], [
            *started, hears(0.3, RUN, f"#beat offset=1202 crc={CRC} t=2"), says(0.3, "#ack offset=1202 t=2"),
            hears(0.4, "#close reason=shutdown"), says(0.4)]),
        "numbers at once after the opening beat": (1200, ["numbers-at-once"], [
            *opened, hears(0.2, "#beat offset=1200 crc=00000000 t=1", RUN, f"#beat offset=1202 crc={CRC} t=2"),
            says(0.2, "#ack offset=1202 t=2")]),
        "keys in another order, and unknown ones": (1200, ["control-line", "unknown-keys-ignored"], [
            *started, hears(0.3, RUN, f"#beat t=2 colour=#f00 colour=b crc={CRC} offset=1202"),
            says(0.3, "#ack offset=1202 t=2")]),
        "a worker that holds nothing lets the producer choose": (None, ["resume", "opening-beat"], [
            *chosen, hears(0.2, "#beat offset=7 crc=00000000 t=1"), says(0.2, "#ack offset=7 t=1")]),
        "a repeated ack, 1.25 heartbeats after the last": (1200, ["ack-once-a-heartbeat"], [
            *started, says(1.44), says(1.46, "#ack offset=1200"), hears(1.5, "#beat offset=1200 crc=00000000 t=2"),
            says(1.5, "#ack offset=1200 t=2")]),
        "three heartbeats of silence": (1200, ["silence"], [
            *started, says(1.46, "#ack offset=1200"), says(2.71, "#ack offset=1200"), says(3.19),
            says(3.21, "#close reason=timeout")]),
        "5 s without an offer": (1200, ["handshake-limit"], [
            *greeted, says(4.99), says(5.01, "#close reason=timeout")]),
        "a wrong checksum": (1200, ["beat-checks"], [
            *started, hears(0.3, RUN, "#beat offset=1202 crc=00000000 t=2"), says(0.3, "#close reason=mismatch")]),
        "a wrong count": (1200, ["beat-checks"], [
            *started, hears(0.3, RUN, f"#beat offset=1203 crc={CRC} t=2"), says(0.3, "#close reason=mismatch")]),
        "an opening beat elsewhere": (1200, ["opening-beat"], [
            *opened, hears(0.2, "#beat offset=1199 crc=00000000 t=1"), says(0.2, "#close reason=mismatch")]),
        "a number before the opening beat": (1200, ["opening-beat"], [
            *opened, hears(0.2, "52"), says(0.2, "#close reason=malformed")]),
        "an offer to another worker": (1200, ["open-names-the-worker"], [
            *greeted, hears(0.1, an_offer(worker="worker-1")), says(0.1, "#close reason=malformed")]),
        "an offer with a wrong check": (1200, ["open-check"], [
            *greeted, hears(0.1, OFFER.replace("producer-0", "producer-1")), says(0.1, "#close reason=malformed")]),
        "an answer that nobody asked for": (1200, ["asked"], [
            *opened, hears(0.2, "#wait"), says(0.2, "#close reason=malformed")]),
        "a number of 64 bytes, and one of 65": (1200, ["number-line", "line-too-long"], [
            *started, hears(0.3, "1" * 63), says(0.3), hears(0.4, "1" * 64), says(0.4, "#close reason=too-long")]),
        "1-2 is a number line, 1abc is none": (1200, ["number-line"], [
            *started, hears(0.3, "1-2"), says(0.3), hears(0.4, "1abc"), says(0.4, "#close reason=malformed")]),
        "the end of a stream": (last - 1, ["last-number"], [
            *greeted, hears(0.1, OFFER), says(0.1, f"#resume offset={last - 1} after=start"),
            hears(0.2, f"#beat offset={last - 1} crc=00000000 t=1"), says(0.2, f"#ack offset={last - 1} t=1"),
            hears(0.3, "52", f"#beat offset={last} crc={crc32c(b'52' + bytes([10]))} t=2"),
            says(0.3, f"#ack offset={last} t=2"),
            hears(0.9, f"#beat offset={last} crc=00000000 t=3"), says(0.9, f"#ack offset={last} t=3"),
            hears(1.0, "52"), says(1.0, "#close reason=malformed")]),
    }  # fmt: skip
    for numbers in ("poisson:3", "integers:2:1", "integers:01:100", "uniform:-0.0:1.0", "uniform:0:1"):
        worker[f"numbers that cannot be: {numbers}"] = (1200, ["numbers-checked"], [
            *greeted, hears(0.1, an_offer(numbers=numbers)), says(0.1, "#close reason=malformed")])  # fmt: skip
    dialled = [hears(0.1, HELLO), says(0.1, OFFER)]
    resumed = [*dialled, hears(0.2, "#resume offset=0 after=start"), says(0.2, "#beat offset=0 crc=00000000 t=*")]
    first = numbers_of_offer(0, 2)
    moved = [*resumed, does(0.3, sends=2), says(0.3, first[:-1]), says(1.19),
             says(1.21, f"#beat offset=2 crc={crc32c(first.encode())} t=*")]  # fmt: skip
    producer = {
        "a stream from 0": (["opening-beat", "beat-period"], [*moved, hears(1.3, "#ack offset=2 t=1"), says(1.3)]),
        "an ack between two beats": (["ack-in-range"], [*moved, hears(1.3, "#ack offset=1"), says(1.3)]),
        "an ack above the last beat": (["ack-in-range"], [
            *moved, hears(1.3, "#ack offset=3 t=1"), says(1.3, "#close reason=malformed")]),
        "an ack below the last one": (["ack-in-range"], [
            *moved, hears(1.3, "#ack offset=2", "#ack offset=1"), says(1.3, "#close reason=malformed")]),
        "an answer for each ask": (["asked"], [
            *dialled, hears(0.2, "#wait by=producer-1 offset=5"), says(0.2, "#wait"), hears(1.2, "#wait"),
            says(1.2, "#wait"), hears(1.5, "#resume after=promotion"), says(1.5, "#beat offset=5 crc=00000000 t=*")]),
        "a resume that crosses an ask": (["opening-beat", "asked"], [
            *dialled, hears(0.2, "#wait by=producer-1 offset=5", "#resume offset=6 after=promotion"),
            says(0.2, "#wait", "#beat offset=6 crc=00000000 t=*")]),
        "the end of a stream, beaten and never passed": (["last-number"], [
            *dialled, hears(0.2, f"#resume offset={last} after=start"),
            says(0.2, f"#beat offset={last} crc=00000000 t=*"), says(1.21, f"#beat offset={last} crc=00000000 t=*")]),
        "another version": (["hello-version"], [
            hears(0.1, "#hello randstream/2 worker=worker-0"), says(0.1, "#close reason=version")]),
        "an ask after the resume": (["asked"], [*resumed, hears(0.3, "#wait"), says(0.3, "#close reason=malformed")]),
        "three heartbeats of silence": (["silence"], [
            *dialled, hears(0.2, "#wait"), says(0.2, "#wait"), says(3.19), says(3.21, "#close reason=timeout")]),
        "a close without a reason": (["bad-key"], [
            *resumed, hears(0.3, "#close"), says(0.3, "#close reason=malformed")]),
        "a close for a reason that nobody knows": (["unknown-reason"], [
            *resumed, hears(0.3, "#close reason=lunch"), says(0.3)]),
    }  # fmt: skip
    return [
        *({"name": name, "of": "worker", "rules": rules, "holds": holds, "steps": steps}
          for name, (holds, rules, steps) in worker.items()),
        *({"name": name, "of": "producer", "rules": rules, "steps": steps}
          for name, (rules, steps) in producer.items()),
    ]  # fmt: skip


# ---- stores


def numbers_of_offer(first: int, end: int) -> str:
    """Number lines `first` up to `end` of the stream of `OFFER`."""
    key, _ = identity("42", "worker-0", "integers:1:100")
    return "".join(f"{number('integers:1:100', word(key, n))}\n" for n in range(first, end))


def interval(first: int, end: int) -> str:
    """Those numbers, and their beat."""
    text = numbers_of_offer(first, end)
    return text + f"#beat offset={end} crc={crc32c(text.encode())} t={end}\n"


def header(first: int) -> str:
    """How a segment begins."""
    return f"{OFFER}\n#beat offset={first} crc=00000000 t=0\n"


def stores() -> Lines:
    """Folders of the stream of `OFFER`, and where a worker resumes on each."""
    whole = header(0) + interval(0, 3) + interval(3, 5)
    up_to_3 = header(0) + interval(0, 3)
    odd = "52\n1abc\n"
    second = header(5) + interval(5, 8)
    bare = "\n".join(line.partition(" t=")[0] for line in whole.split("\n"))
    return [
        _store("two intervals", 5, whole),
        _store("beats without t", 5, bare),
        _store("no number yet", 0, header(0)),
        _store("cut in a number", 5, whole + "6", cut=1),
        _store("cut after a number", 5, whole + "5\n", cut=2),
        _store("cut in a beat", 3, whole[:-9], cut=len(interval(3, 5)) - 9),
        _store("cut before a beat's LF", 3, whole[:-1], cut=len(interval(3, 5)) - 1),
        _store("zeros after a power cut", 5, whole + "\0" * 40, cut=40),
        _store("a wrong checksum at the end", 3, up_to_3 + interval(3, 5).replace("74\n", "47\n"),
               cut=len(interval(3, 5)), verified=False),
        _store("a wrong count at the end", 3, up_to_3 + interval(3, 5).replace("offset=5", "offset=6"),
               cut=len(interval(3, 5)), verified=False),
        _store("a wrong checksum before the end", 0, whole.replace("\n10\n", "\n11\n"),
               cut=len(interval(0, 3) + interval(3, 5)), verified=False),
        _store("a line that is no number", 3, f"{up_to_3}{odd}#beat offset=5 crc={crc32c(odd.encode())} t=1\n",
               cut=len(f"{odd}#beat offset=5 crc=00000000 t=1\n"), verified=False),
        _store("two segments", 8, whole, second),
        _store("a segment is missing between two", None, header(0) + interval(0, 3), second, verified=False),
        _store("only the last segment may be cut", None, whole + "6", second, verified=False),
        _store("a header with a wrong check", None, whole.replace("producer-0", "producer-1", 1), verified=False),
        _store("a header without a beat", None, f"{OFFER}\n", verified=False),
        _store("a header of other numbers", None, whole.replace(OFFER, an_offer(numbers="bits64")), refused=True,
               verified_with_seed=False),
    ]  # fmt: skip


def _store(
    name: str,
    resumes: int | None,
    *segments: str,
    cut: int = 0,
    verified: bool = True,
    verified_with_seed: bool | None = None,
    refused: bool = False,
) -> dict[str, Any]:
    names = [f"{first:020d}.numbers" for first in (0, 5)]
    return {
        "name": name, "files": dict(zip(names, segments, strict=False)), "resumes": resumes, "cut_bytes": cut,
        "refused": refused, "verified": verified,
        "verified_with_seed": verified if verified_with_seed is None else verified_with_seed,
    }  # fmt: skip


if __name__ == "__main__":
    for file_name, text in files().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
