"""What a conversation returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from randstream.conform.cases import BrokenRuleError
from randstream.conform.conversation import Conversation
from randstream.conform.wire import End, Line, Run

pytestmark = [pytest.mark.kernel, pytest.mark.asyncio(loop_factories=["asyncio"])]


@asynccontextmanager
async def a_conversation() -> AsyncIterator[tuple[Conversation, asyncio.StreamWriter]]:
    """One, and the writer of its peer."""
    peers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: peers.put_nowait(writer), "127.0.0.1", 0)
    talk = Conversation(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))
    peer = await peers.get()
    try:
        yield talk, peer
    finally:
        talk.cut()
        peer.transport.abort()
        server.close()


async def test_numbers_and_lines_are_handed_out_in_order_and_then_the_end() -> None:
    async with a_conversation() as (talk, peer):
        peer.write(b"1\n2\n#ack offset=2 t=1\n3")
        numbers, ack = await talk.take(), await talk.take()
        assert isinstance(numbers, Run)
        assert numbers.lines == b"1\n2\n"
        assert numbers.count == 2
        assert isinstance(ack, Line)
        assert ack.keys == {"offset": "2", "t": "1"}
        assert ack.number("offset") == 2
        assert await talk.take(0.01) is None
        peer.write(b"4\n")
        numbers = await talk.take()
        assert isinstance(numbers, Run)
        assert numbers.lines == b"34\n"
        peer.close()
        assert isinstance(await talk.take(), End)
        assert isinstance(await talk.take(), End)


@pytest.mark.parametrize("said", [b"#ack offset=x\n", b"12#\n", b"#nonsense\n"])
async def test_line_that_breaks_the_grammar_is_a_broken_rule(said: bytes) -> None:
    async with a_conversation() as (talk, peer):
        peer.write(said)
        with pytest.raises(BrokenRuleError, match="a line that keeps the grammar"):
            await talk.take()


async def test_what_came_in_place_of_what_was_expected_is_told() -> None:
    async with a_conversation() as (talk, peer):
        with pytest.raises(BrokenRuleError, match=r"expected #ack; came nothing within 0\.1 s"):
            await talk.expect("#ack", 0.1)
        peer.write(b"#ack offset=1\n#close reason=yield\n")
        with pytest.raises(BrokenRuleError, match="expected #close reason=spare; came #close reason=yield"):
            await talk.expect_close("spare", skip=("#ack",))
        with pytest.raises(BrokenRuleError, match="expected the end of the connection; came nothing"):
            await talk.expect_end(0.05)
        peer.write(b"5\n")
        with pytest.raises(BrokenRuleError, match="expected nothing; came numbers"):
            await talk.expect_nothing(1.0)


async def test_waits_are_answered_only_when_asked_to() -> None:
    async with a_conversation() as (talk, peer):
        peer.write(b"#wait\n")
        await talk.expect("#wait")
        talk.answers_waits = True
        peer.write(b"#wait by=another\n#ack offset=1\n")
        await talk.expect("#ack")
        assert [wait.text for wait in talk.waits] == ["#wait by=another"]
