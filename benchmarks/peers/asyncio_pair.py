"""The plain way: an asyncio writer that writes and drains one line at a time, and a reader that reads one at a time.

asyncio_pair.py send|receive PORT SECONDS
"""

import asyncio
import sys
import time

from benchmarks.peers.numbers import batches


async def send(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for line in batches(1):
        writer.write(line)
        await writer.drain()


async def receive(port: int, seconds: float) -> None:
    done = asyncio.Event()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        started = time.monotonic()
        while await reader.readline():
            count += 1
            if count % 64 == 0 and time.monotonic() - started >= seconds:
                break
        print(count, time.monotonic() - started, flush=True)
        done.set()

    server = await asyncio.start_server(count, "127.0.0.1", port)
    async with server:
        await done.wait()


if sys.argv[1] == "send":
    asyncio.run(send(int(sys.argv[2])))
else:
    asyncio.run(receive(int(sys.argv[2]), float(sys.argv[3])))
