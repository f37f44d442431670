"""ZeroMQ PUSH and PULL: messages of some numbers each.

zeromq_pair.py send|receive PORT SECONDS NUMBERS_A_MESSAGE
"""

import sys
import time

import zmq

from benchmarks.peers.numbers import batches

role, port, seconds, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
context = zmq.Context()
if role == "send":
    push = context.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{port}")
    for message in batches(size):
        push.send(message)
else:
    pull = context.socket(zmq.PULL)
    pull.bind(f"tcp://127.0.0.1:{port}")
    pull.recv()
    started = time.monotonic()
    count = size
    while count % (64 * size) or time.monotonic() - started < seconds:
        pull.recv()
        count += size
    print(count, time.monotonic() - started, flush=True)
