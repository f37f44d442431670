"""The vectors: made by an independent reckoning of the page, and kept by what randstream itself does."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docs.vectors import make, reckon
from tests.store.streams import OFFERED, STREAM, WORKER

from randstream.errors import OfferError, Reason, RemoteProtocolError, SettingsError, SinkError
from randstream.numbers.distributions import is_canonical, parse_distribution
from randstream.numbers.seed import parse_seed
from randstream.numbers.stream import NumberStream
from randstream.numbers.text import to_lines
from randstream.protocol.end import End
from randstream.protocol.events import AskDue, Greeted, Opened, Proved
from randstream.protocol.frames import Resume, crc32c, encode, parse_control_line
from randstream.protocol.rank import rank
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.store import verify
from randstream.store.files import OSFiles
from randstream.store.layout import stream_folder
from randstream.store.store import Store

FOLDER = Path(make.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def named(name: str) -> pytest.MarkDecorator:
    lines = read(name)
    return pytest.mark.parametrize("vector", lines, ids=[line["name"] for line in lines])


def text(distribution: Any, word: int) -> str:
    (one,) = to_lines([distribution.from_word(word)]).decode().split()
    (many,) = to_lines(distribution.from_words(np.array([word], np.uint64))).decode().split()
    assert one == many
    return one


# ---- the files


def test_the_files_are_what_the_page_gives() -> None:
    made = make.files()
    assert {path.name for path in FOLDER.glob("*.jsonl")} == set(made)
    for name, content in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, f"python -m docs.vectors.make: {name}"


def test_the_reckoning_uses_nothing_of_randstream() -> None:
    for path in FOLDER.glob("*.py"):
        assert not re.search(r"^\s*(from|import) (randstream|numpy|orjson|google)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.jsonl")))
def test_the_readme_documents_every_field_of_every_file(name: str) -> None:
    section = README.partition(f"\n## {name}.jsonl\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    assert documented == {key for line in read(name) for key in line}


# ---- numbers


@pytest.mark.parametrize("vector", read("seeds"), ids=lambda vector: ascii(vector["seed"]))
def test_of_seeds_this_is_hashed(vector: dict[str, Any]) -> None:
    if vector["seed_used"] is None:
        with pytest.raises(SettingsError):
            parse_seed(vector["seed"])
    else:
        assert parse_seed(vector["seed"]) == vector["seed_used"]


@pytest.mark.parametrize("vector", read("streams"), ids=lambda vector: f"{vector['seed']!r} {vector['numbers']}")
def test_streams_have_these_identities_words_and_numbers(vector: dict[str, Any]) -> None:
    stream = NumberStream(vector["seed"], vector["worker"], vector["numbers"])
    assert (stream.id, stream.distribution.spelling) == (vector["stream"], vector["canonical"])
    for offset, word in vector["words"].items():
        number = vector["texts"][offset]
        assert text(stream.distribution, int(word)) == number
        assert stream.lines(int(offset), 1) == f"{number}\n".encode()
    key, _ = reckon.identity(vector["seed_used"], vector["worker"], vector["canonical"])
    assert [str(half) for half in key] == vector["key"]
    philox = np.random.Philox(key=np.array(key, np.uint64))
    assert [str(word) for word in philox.random_raw(5)] == [vector["words"][str(n)] for n in range(5)]


def test_numbers_of_chosen_words_are_these() -> None:
    for vector in read("numbers"):
        distribution = parse_distribution(vector["numbers"])
        assert is_canonical(vector["numbers"])
        assert text(distribution, int(vector["word"])) == vector["text"], vector


def test_numbers_of_chosen_words_reach_every_branch() -> None:
    reached = {(vector["numbers"].partition(":")[0], vector["branch"]) for vector in read("numbers")}
    halves = "m below sqrt(1/2)", "m from sqrt(1/2) on"
    assert reached == {
        *((kind, kind) for kind in ("integers", "bits64", "bernoulli", "poisson", "uniform")),
        *(("exponential", f"log, {half}") for half in halves),
        ("normal", "centre"), *(("normal", f"{tail}, {half}") for tail in ("tail", "far tail") for half in halves),
    }  # fmt: skip


def test_many_numbers_are_as_the_page_reckons() -> None:
    dice = np.random.Philox(7)
    words = [int(word) >> shift for shift in range(0, 64, 3) for word in dice.random_raw(20)]
    for spelling in ("bernoulli:0.3", "poisson:3.0", "uniform:-1.0:1.0", "exponential:1.0", "normal:0.0:1.0"):
        distribution = parse_distribution(spelling)
        for word in (*words, *(2**64 - 1 - word for word in words)):
            assert text(distribution, word) == reckon.number(spelling, word)


def test_floats_have_these_texts() -> None:
    for vector in read("float-text"):
        (value,) = struct.unpack(">d", bytes.fromhex(vector["bits"]))
        assert to_lines([value]) == f"{vector['text']}\n".encode()
        assert float(vector["text"]) == value


def test_texts_have_these_checksums() -> None:
    for vector in read("crc32c"):
        assert f"{crc32c(vector['text'].encode()):08x}" == vector["crc"]


def test_producers_have_these_ranks() -> None:
    for vector in read("ranks"):
        assert f"{rank(vector['worker'], vector['producer']):016x}" == vector["rank"]


# ---- the wire


@pytest.mark.parametrize("vector", read("lines"), ids=lambda vector: vector["line"][:60])
def test_lines_are_judged_so(vector: dict[str, Any]) -> None:
    try:
        parse_control_line(vector["line"].encode())
        verdict = "ok"
    except RemoteProtocolError as error:
        verdict = str(error.reason)
    assert verdict == vector["verdict"]


class Conversation:
    """One end, told what it reads, and the time."""

    def __init__(self, end: End, answer: Callable[[Any, float], None]) -> None:
        self.end = end
        self.answer = answer

    def deliver(self, events: list[Any], now: float) -> None:
        for event in events:
            self.answer(event, now)

    def advance(self, now: float) -> None:
        while self.end.deadline <= now:
            due = self.end.deadline
            self.deliver(self.end.handle_timer(due), due)

    def step(self, step: dict[str, Any]) -> None:
        now = step["at"]
        self.advance(now)
        if "hears" in step:
            self.deliver(self.end.receive_data(step["hears"].encode(), now), now)
        elif "says" in step:
            said = b"".join(bytes(each) for each in self.end.data_to_send()).decode()
            expected = re.escape(step["says"]).replace(r"t=\*", "t=[0-9]{1,20}")
            assert re.fullmatch(expected, said), (step, said)
        else:
            assert isinstance(self.end, Sender)
            count = step["does"]["sends"]
            self.end.send_numbers(STREAM.lines(self.end.offset, count), count, now)


def a_worker(holds: int | None) -> Conversation:
    """With a sink that stores at once."""
    receiver = Receiver(WORKER, now=0.0)

    def answer(event: Any, now: float) -> None:
        if isinstance(event, Opened):
            if is_canonical(event.offered.numbers):
                receiver.resume(Resume(holds, "start"), now)
            else:
                receiver.close(Reason.MALFORMED)
        elif isinstance(event, Proved):
            receiver.acknowledge(event.beat.offset, now)
        assert not isinstance(event, AskDue)

    return Conversation(receiver, answer)


def a_producer() -> Conversation:
    """It has seed 42 and knows nothing of what is stored."""
    sender = Sender(producer="producer-0", heartbeat=1.0, now=0.0)

    def answer(event: Any, now: float) -> None:
        if isinstance(event, Greeted):
            sender.open(OFFERED.stream, OFFERED.numbers, first_offset=0, now=now)

    return Conversation(sender, answer)


@named("conversations")
def test_conversations_go_so(vector: dict[str, Any]) -> None:
    conversation = a_worker(vector["holds"]) if vector["of"] == "worker" else a_producer()
    for step in vector["steps"]:
        conversation.step(step)


def test_conversations_name_rules_of_the_page() -> None:
    page = reckon.PAGE.read_text(encoding="utf-8")
    for vector in read("conversations"):
        for rule in vector["rules"]:
            assert f"**{rule}**" in page


# ---- stores


@named("stores")
def test_stores_resume_so(vector: dict[str, Any], tmp_path: Path) -> None:
    assert encode(OFFERED).decode() == f"{make.OFFER}\n"
    folder = stream_folder(tmp_path, WORKER, OFFERED.stream)
    folder.mkdir()
    for name, content in vector["files"].items():
        (folder / name).write_bytes(content.encode())
    assert verify([tmp_path]).ok is vector["verified"]
    assert verify([tmp_path], "42").ok is vector["verified_with_seed"]
    store = Store(tmp_path, WORKER, 2**30, None, OSFiles())
    store.start()
    try:
        if vector["resumes"] is None:
            with pytest.raises(OfferError if vector["refused"] else SinkError):
                store.open(OFFERED)
        else:
            assert store.open(OFFERED) == vector["resumes"]
    finally:
        store.close()
    kept = {path.name: path.read_bytes().decode() for path in folder.iterdir()}
    last = max(vector["files"])
    size = len(vector["files"][last]) - vector["cut_bytes"]
    assert kept == {**vector["files"], last: vector["files"][last][:size]}
