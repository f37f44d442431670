"""The page about the wire: its tables are the code's, its names are defined once, its examples are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.vectors import reckon

from randstream.numbers.stream import NumberStream
from randstream.protocol import frames
from randstream.protocol.frames import Close, Open, Wait, parse_control_line
from randstream.protocol.rank import rank

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
BODY, _, INDEX = PAGE.partition("\n## All the rules by name\n")
LINE = re.compile(r"^(worker|producer) +(\S.*?)(?: {2,}<- .*)?$", re.MULTILINE)


def conversations() -> list[list[tuple[str, str]]]:
    section = BODY.partition("\n## One connection, from the first line to the last\n")[2].partition("\n## ")[0]
    return [LINE.findall(block) for block in re.findall(r"```\n(.*?)```", section, re.DOTALL)]


def test_the_table_of_keys_is_what_the_code_reads() -> None:
    rows = re.findall(r"^\| `#([a-z]+)` \| `([a-z]+)` \| (yes|no) \| `(.*?)` \|", BODY, re.MULTILINE)
    listed = {(verb, key): (required == "yes", text.replace("\\|", "|")) for verb, key, required, text in rows}
    assert listed.pop(("open", "check")) == (True, "[0-9a-f]{8}")
    read = {
        (kind.__name__.lower(), name): (not key.optional, key.pattern.pattern.replace("(?:", "("))
        for kind, keys in frames._KEYS.items()
        for name, key in keys.items()
    }
    assert listed == read


def test_every_rule_is_defined_once_and_listed_once() -> None:
    listed = [name for names in re.findall(r"^\| [^|]+ \| ([a-z0-9, -]+) \|$", INDEX.partition("|---")[2], re.MULTILINE)
              for name in names.split(", ")]  # fmt: skip
    defined = re.findall(r"^(?:- |\| )\*\*([a-z0-9-]+)\*\*", BODY, re.MULTILINE)
    assert sorted(set(listed)) == sorted(listed)
    assert sorted(set(defined)) == sorted(defined)
    assert set(defined) == set(listed)
    assert set(re.findall(r"\*\*([a-z0-9-]+)\*\*", BODY)) == set(listed)


@pytest.mark.parametrize("index", [0, 1])
def test_the_example_conversations_are_real(index: int) -> None:
    numbers: list[str] = []
    offset = 0
    stream = NumberStream("42", "worker-0", "integers:1:100")
    for author, line in conversations()[index]:
        if line.startswith("#"):
            frame = parse_control_line(line.encode())
            if isinstance(frame, Open):
                assert frame.stream == stream.id
            elif line.startswith("#beat"):
                text = "".join(f"{number}\n" for number in numbers)
                assert f" crc={reckon.crc32c(text.encode())} " in f"{line} "
                offset += len(numbers)
                assert f" offset={offset} " in line
                numbers = []
            elif line.startswith("#resume"):
                offset = int(re.findall(r"offset=([0-9]+)", line)[0])
            else:
                assert isinstance(frame, Wait | Close) or line.startswith(("#hello", "#ack"))
        else:
            assert author == "producer"
            assert stream.lines(offset + len(numbers), 1) == f"{line}\n".encode()
            numbers.append(line)
    assert offset > 1200


def test_the_example_lines_of_the_tables_are_real() -> None:
    examples = re.findall(r"^\| `(#[a-z]+[^`]*)` \| (?:worker|producer|either) \|", BODY, re.MULTILINE)
    assert len(examples) == 8
    for example in examples:
        parse_control_line(example.encode())


def test_the_ranks_of_the_page_are_these() -> None:
    rows = re.findall(r"^  \| `(worker-[0-9])` \| `(\w+)` \| `(\w+)` \| `(\w+)` \| ([0-9, ]+) \|$", BODY, re.MULTILINE)
    assert len(rows) == 3
    for worker, *ranks, order in rows:
        assert ranks == [f"{rank(worker, f'producer-{index}'):016x}" for index in range(3)]
        best = sorted(range(3), key=lambda index: ranks[index], reverse=True)
        assert order == ", ".join(map(str, best))


def test_the_words_and_numbers_of_the_page_are_these() -> None:
    key, stream = reckon.identity("42", "worker-0", "integers:1:100")
    assert f"word 0 is {reckon.word(key, 0)}, word 1 is {reckon.word(key, 1)}." in BODY
    first = " ".join(NumberStream("42", "worker-0", "integers:1:100").lines(0, 8).decode().split())
    assert f"stream `{stream}`, numbers `{first} ...`" in BODY
