"""Redis publish and subscribe: messages of some numbers each, published in pipelines.

redis_pair.py send|receive PORT SECONDS NUMBERS_A_MESSAGE
"""

import sys
import time
from itertools import islice

import redis

from benchmarks.peers.numbers import batches

role, port, seconds, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
client = redis.Redis(port=port)
if role == "send":
    messages = batches(size)
    while True:
        pipeline = client.pipeline(transaction=False)
        for message in islice(messages, 1 + 2000 // size):
            pipeline.publish("numbers", message)
        pipeline.execute()
else:
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("numbers")
    subscription.parse_response()
    print("ready", flush=True)
    subscription.parse_response()
    started = time.monotonic()
    count = size
    while count % (64 * size) or time.monotonic() - started < seconds:
        subscription.parse_response()
        count += size
    print(count, time.monotonic() - started, flush=True)
