"""NATS: publish messages of some numbers each, count them at a subscriber.

nats_pair.py send|receive PORT SECONDS NUMBERS_A_MESSAGE
"""

import asyncio
import sys
import time

import nats
import uvloop

from benchmarks.peers.numbers import batches


async def send(port: int, size: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}", pending_size=2**23)
    for number, message in enumerate(batches(size)):
        await client.publish("numbers", message)
        if number % (1 + 2**16 // len(message)) == 0:
            await client.flush()


async def receive(port: int, seconds: float, size: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    done = asyncio.Event()
    count = 0
    started = 0.0

    async def take(message: object) -> None:
        nonlocal count, started
        started = started or time.monotonic()
        count += size
        if count % (64 * size) == 0 and time.monotonic() - started >= seconds:
            done.set()

    await client.subscribe("numbers", cb=take, pending_msgs_limit=2**20, pending_bytes_limit=2**29)
    await client.flush()
    print("ready", flush=True)
    await done.wait()
    print(count, time.monotonic() - started, flush=True)


if sys.argv[1] == "send":
    uvloop.run(send(int(sys.argv[2]), int(sys.argv[4])))
else:
    uvloop.run(receive(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
