"""The rules of "Lines": what a control line may look like, and what it means."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import DISTRIBUTION, STREAM, checked, open_line, reference_crc, repeatable

from randstream.errors import UNWRITTEN, Reason, RemoteProtocolError
from randstream.protocol.frames import (
    Ack,
    Beat,
    Close,
    ControlFrame,
    Hello,
    Open,
    Resume,
    Wait,
    crc32c,
    encode,
    parse_control_line,
)

INSTANCE = "5f0c8e2b94d1a637"
OPEN = Open(WORKER := "worker-0", STREAM, DISTRIBUTION, "producer-0", 1.0, INSTANCE)
EVERY_LINE: dict[str, ControlFrame] = {
    "#hello randstream/1 worker=worker-0": Hello(WORKER),
    open_line(instance=INSTANCE).decode().rstrip("\n"): OPEN,
    open_line().decode().rstrip("\n"): dataclasses.replace(OPEN, instance=None),
    "#wait": Wait(),
    "#wait by=producer-0 offset=1202": Wait("producer-0", 1202),
    "#wait by=producer-0 stream=6ae2a63a0ac05109": Wait("producer-0", None, STREAM),
    "#wait offset=1202": Wait(None, 1202),
    "#wait why=disk-full": Wait(why="disk-full"),
    "#resume": Resume(None),
    "#resume offset=1200": Resume(1200),
    "#resume offset=1200 after=start": Resume(1200, "start"),
    "#resume after=hand-over": Resume(None, "hand-over"),
    "#beat offset=1202 crc=b1325618 t=17": Beat(1202, 0xB1325618, "17"),
    "#ack offset=1202 t=17": Ack(1202, "17"),
    "#ack offset=1202": Ack(1202, None),
    "#ack offset=1202 why=command-stuck": Ack(1202, None, "command-stuck"),
    "#close reason=shutdown": Close(Reason.SHUTDOWN),
}
KEYS = [
    ("#hello randstream/1", {"worker": "worker-0"}),
    ("#wait", {"by": "producer-0", "offset": "1202", "stream": STREAM, "why": "disk-full"}),
    ("#resume", {"offset": "1200", "after": "promotion"}),
    ("#beat", {"offset": "1202", "crc": "b1325618", "t": "17"}),
    ("#ack", {"offset": "1202", "t": "17", "why": "disk-full"}),
    ("#close", {"reason": "shutdown"}),
    (
        "#open",
        {
            "worker": "worker-0",
            "stream": STREAM,
            "numbers": DISTRIBUTION,
            "producer": "producer-0",
            "heartbeat": "1.0",
            "instance": INSTANCE,
        },
    ),
]
EVERY_KEY = [(verb, key) for verb, keys in KEYS for key in keys]
OPTIONAL = [
    ("#wait", "by"), ("#wait", "offset"), ("#wait", "stream"), ("#resume", "offset"), ("#resume", "after"),
    ("#wait", "why"), ("#ack", "t"), ("#ack", "why"), ("#open", "instance"),
]  # fmt: skip
KEYS_OF = dict(KEYS)


def parse(line: str) -> ControlFrame:
    return parse_control_line(line.encode("latin-1"))


def reason_of(line: str) -> Reason:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(line)
    return caught.value.reason


def spell(verb: str, words: list[str]) -> str:
    line = " ".join([verb, *words])
    return checked(line).decode().rstrip("\n") if verb == "#open" else line


def with_value(verb: str, key: str, value: str) -> str:
    return spell(verb, [f"{k}={value if k == key else v}" for k, v in KEYS_OF[verb].items()])


@pytest.mark.parametrize("line", EVERY_LINE)
def test_control_line_of_each_verb_reads_as_the_specification_says(line: str) -> None:
    assert parse(line) == EVERY_LINE[line]


@pytest.mark.parametrize("line", EVERY_LINE)
def test_control_line_is_written_as_the_specification_spells_it(line: str) -> None:
    assert encode(EVERY_LINE[line]) == line.encode() + b"\n"


@given(data=st.binary(max_size=200))
@repeatable(50)
def test_checksum_is_the_crc_32c_of_rfc_3720(data: bytes) -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(data) == reference_crc(data)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
OFFSETS = st.integers(0, 2**63 - 1)
HEX_16 = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
TIMES = st.from_regex(r"[0-9]{1,20}", fullmatch=True)
FRAMES = st.one_of(
    st.builds(Hello, NAMES),
    st.builds(
        Open,
        NAMES,
        HEX_16,
        st.sampled_from(["bits64", "integers:-5:2000000000", "uniform:-1.5e-7:1.0e+16", "normal:0.0:1.0"]),
        NAMES,
        st.integers(50, 60_000).map(lambda milliseconds: milliseconds / 1000),
        st.one_of(st.none(), HEX_16),
    ),
    st.builds(Wait, st.one_of(st.none(), NAMES), st.one_of(st.none(), OFFSETS), st.one_of(st.none(), HEX_16)),
    st.builds(
        Resume,
        st.one_of(st.none(), OFFSETS),
        st.one_of(st.none(), st.from_regex(r"[a-z][a-z-]{0,31}", fullmatch=True)),
    ),
    st.builds(Beat, OFFSETS, st.integers(0, 2**32 - 1), TIMES),
    st.builds(Ack, OFFSETS, st.one_of(st.none(), TIMES)),
    st.builds(Close, st.sampled_from([r for r in Reason if r not in UNWRITTEN])),
)


@given(frame=FRAMES)
@repeatable(80)
def test_control_line_survives_being_written_and_read_and_fits_its_bound(frame: ControlFrame) -> None:
    line = encode(frame)
    assert line.endswith(b"\n")
    assert len(line) <= 512
    assert parse_control_line(line[:-1]) == frame


@pytest.mark.parametrize("line", [line for line in EVERY_LINE if "=" in line])
@pytest.mark.parametrize("hurt", ["  ", "\t", " = "])
def test_control_line_has_one_space_between_words_and_nothing_else(line: str, hurt: str) -> None:
    verb, _, rest = line.partition(" ")
    if verb == "#open":
        rest = rest.rpartition(" check=")[0]
        assert reason_of(checked(f"{verb}{hurt}{rest}").decode().rstrip("\n")) is Reason.MALFORMED
    else:
        assert reason_of(f"{verb}{hurt}{rest}") is Reason.MALFORMED
        assert reason_of(line + " ") is Reason.MALFORMED


@pytest.mark.parametrize("word", ["offset", "=1200", "offset=", "unknown", "#"])
def test_control_line_of_words_that_are_not_key_value_is_malformed(word: str) -> None:
    assert reason_of(f"#resume {word}") is Reason.MALFORMED


@pytest.mark.parametrize("line", EVERY_LINE)
def test_ascii_lf_a_carriage_return_or_a_byte_past_127_is_malformed(line: str) -> None:
    assert reason_of(line + "\r") is Reason.MALFORMED
    assert reason_of(line + "\xe9") is Reason.MALFORMED
    assert reason_of(line.replace("#", "#\xb2", 1)) is Reason.MALFORMED


def test_control_line_keys_may_come_in_any_order() -> None:
    assert parse("#beat t=17 offset=1202 crc=b1325618") == Beat(1202, 0xB1325618, "17")
    words = [f"{key}={value}" for key, value in KEYS_OF["#open"].items()]
    assert parse(spell("#open", words[::-1])) == OPEN


@pytest.mark.parametrize(("verb", "keys"), KEYS)
def test_unknown_keys_ignored_wherever_they_stand(verb: str, keys: dict[str, str]) -> None:
    words = [f"{key}={value}" for key, value in keys.items()]
    plain = parse(spell(verb, words))
    for at in range(len(words) + 1):
        more = [*words[:at], "colour=blue=2:x", *words[at:], "colour=red"]
        assert parse(spell(verb, more)) == plain
    assert parse("#wait colour=blue") == Wait()


@pytest.mark.parametrize(
    "line", ["#", "#hell", "#hellos randstream/1", "#HELLO randstream/1", "# beat", "#beat2", "##wait", "#numbers"]
)
def test_unknown_verb_is_malformed(line: str) -> None:
    assert reason_of(line) is Reason.MALFORMED


@pytest.mark.parametrize(("verb", "key"), EVERY_KEY)
def test_bad_key_a_repeated_one_is_malformed_even_with_the_same_value(verb: str, key: str) -> None:
    words = [f"{k}={v}" for k, v in KEYS_OF[verb].items()]
    assert reason_of(spell(verb, [*words, f"{key}={KEYS_OF[verb][key]}"])) is Reason.MALFORMED


def test_bad_key_a_repeated_check_is_malformed() -> None:
    once = open_line(instance=INSTANCE).decode().rstrip("\n")
    assert reason_of(checked(once).decode().rstrip("\n")) is Reason.MALFORMED
    verb, rest = once.split(" ", 1)
    inside = f"{verb} check=00000000 {rest.rpartition(' check=')[0]}"
    assert reason_of(checked(inside).decode().rstrip("\n")) is Reason.MALFORMED


@pytest.mark.parametrize(("verb", "key"), [pair for pair in EVERY_KEY if pair not in OPTIONAL])
def test_bad_key_a_missing_one_is_malformed(verb: str, key: str) -> None:
    words = [f"{k}={v}" for k, v in KEYS_OF[verb].items() if k != key]
    assert reason_of(spell(verb, words)) is Reason.MALFORMED


BAD_NAMES = ["-a", ".a", "_a", "a/b", "a:b", "a" * 129, "a\x00", "a#b"]
BAD_OFFSETS = ["-1", "+1", "00", "01", "1.0", "1e3", "0x10", "12a", str(2**63), str(2**64), "1" * 20, "9" * 19 + "0"]
BAD_VALUES = {
    "worker": BAD_NAMES,
    "producer": BAD_NAMES,
    "by": BAD_NAMES,
    "offset": BAD_OFFSETS,
    "crc": ["b132561", "b13256180", "B1325618", "g1325618", "0x132561"],
    "t": ["-1", "1.5", "a", "1" * 21],
    "stream": [STREAM[1:], STREAM + "0", STREAM.upper(), "z" * 16],
    "instance": [INSTANCE[1:], INSTANCE + "0", INSTANCE.upper(), "g" * 16],
    "heartbeat": ["0.0", "0.049", "60.001", "61", "99.999", "100", "1.", ".5", "1.0000", "1e0", "-1", "nan"],
    "numbers": [":", "integers:", "Integers:1:100", "integers:1;100", "integers:x:1"],
    "after": ["Start", "-", "hand_over", "a2", "a" * 33],
    "why": ["Disk", "-", "disk_full", "a2", "a" * 33],
    "reason": ["Shutdown", "-", "shut_down", "a" * 33],
}


@pytest.mark.parametrize(("verb", "key"), EVERY_KEY)
def test_bad_key_an_ill_formed_or_unbounded_value_is_malformed(verb: str, key: str) -> None:
    for value in BAD_VALUES[key]:
        assert reason_of(with_value(verb, key, value)) is Reason.MALFORMED, value


GOOD_VALUES = {
    "worker": ["a", "0", "A.b_c-d", "a" * 128],
    "producer": ["a", "0", "A.b_c-d", "a" * 128],
    "by": ["a", "0", "A.b_c-d", "a" * 128],
    "offset": ["0", "1", "9" * 18, str(2**63 - 1)],
    "crc": ["00000000", "ffffffff"],
    "t": ["0", "007", "9" * 20],
    "stream": ["0" * 16, "f" * 16],
    "instance": ["0" * 16, "f" * 16],
    "after": ["start", "a", "an-unknown-word", "a" * 32],
    "why": ["disk-full", "a", "an-unknown-word", "a" * 32],
    "heartbeat": ["0.05", "0.050", "1", "01", "00.5", "60", "60.000", "59.999"],
    "numbers": ["bits64", "uniform:0.0:1.0", "normal:-1.5e-7:1.0e+16"],
    "reason": ["shutdown", "x", "an-unknown-word"],
}


@pytest.mark.parametrize(("verb", "key"), EVERY_KEY)
def test_bad_key_every_value_at_its_bounds_is_good(verb: str, key: str) -> None:
    for value in GOOD_VALUES[key]:
        frame = parse(with_value(verb, key, value))
        read = getattr(frame, key)
        if key == "offset":
            assert read == int(value)
        elif key == "crc":
            assert read == int(value, 16)
        elif key == "heartbeat":
            assert read == float(value)
        elif key == "reason":
            assert read in (value, Reason.OTHER)
        else:
            assert read == value


def test_names_of_128_bytes_are_the_longest() -> None:
    assert parse(f"#hello randstream/1 worker={'a' * 128}") == Hello("a" * 128)
    assert reason_of(f"#hello randstream/1 worker={'a' * 129}") is Reason.MALFORMED
    assert reason_of("#hello randstream/1 worker=worker-\u00fc") is Reason.MALFORMED


def test_last_number_is_2_to_the_63_minus_2_so_offsets_go_one_further() -> None:
    assert parse("#resume offset=9223372036854775807") == Resume(2**63 - 1)
    assert reason_of("#resume offset=9223372036854775808") is Reason.MALFORMED
    assert encode(Ack(2**63 - 1, None)) == b"#ack offset=9223372036854775807\n"


@pytest.mark.parametrize("version", ["randstream/2", "randstream/10", "randstream/", "RANDSTREAM/1", "http/1.1"])
def test_hello_version_of_another_kind_is_a_version_error_whatever_follows(version: str) -> None:
    assert reason_of(f"#hello {version} worker=worker-0") is Reason.VERSION
    assert reason_of(f"#hello {version} name:worker-0 x") is Reason.VERSION


@pytest.mark.parametrize("line", ["#hello", "#hello worker=worker-0", "#hello worker=worker-0 randstream/1"])
def test_hello_version_must_be_the_first_word(line: str) -> None:
    assert reason_of(line) is Reason.MALFORMED


def test_control_line_of_512_bytes_with_its_lf_is_the_longest() -> None:
    line = "#wait colour=" + "x" * (511 - len("#wait colour="))
    assert parse(line) == Wait()
    assert reason_of(line + "x") is Reason.TOO_LONG


def test_open_check_covers_every_byte_before_it() -> None:
    line = open_line(instance=INSTANCE).rstrip(b"\n")
    for at in range(len(line)):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128):
            damaged = line[:at] + bytes([line[at] ^ flip]) + line[at + 1 :]
            with pytest.raises(RemoteProtocolError) as caught:
                parse_control_line(damaged)
            assert caught.value.reason is Reason.MALFORMED


def test_open_check_must_be_the_last_key() -> None:
    line = open_line().decode().rstrip("\n")
    for wrong in (
        line + " colour=blue",
        line.rpartition(" ")[0],
        line + "0",
        line.upper(),
        line[:-8] + line[-8:].upper(),
    ):
        assert reason_of(wrong) is Reason.MALFORMED


def test_frames_are_values() -> None:
    for frame in EVERY_LINE.values():
        assert frame == dataclasses.replace(frame)
        assert hash(frame) == hash(dataclasses.replace(frame))
