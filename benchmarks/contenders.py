"""Contenders: each way of getting numbers from one process to another, and how to run it once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from .processes import Group, free_port, process_group, wait_port

PYTHON = sys.executable
COUNTER = (PYTHON, "-m", "benchmarks.peers.count_lines")
START_SECONDS = 0.6
"""How long a producer takes to start, in seconds."""
NUMBER_BYTES = 20.6
"""The mean length of a bits64 line, to turn iperf3's bytes into numbers."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run. Numbers are counted at the receiver; CPU and memory are those of all processes, brokers included."""

    numbers: float
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Numbers a second."""
        return self.numbers / self.seconds


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run: `run(seconds)`; `needs` names programs and Python modules."""

    name: str
    run: Callable[[float], Result]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Those of its needs that are not installed."""
        return [need for need in self.needs if not (shutil.which(need) or _has_module(need))]


def _has_module(name: str) -> bool:
    return name.isidentifier() and find_spec(name) is not None


def _finish(group: Group, receiver: subprocess.Popen[bytes], seconds: float) -> tuple[float, float]:
    """How many numbers the receiver counted, and in how many seconds, once it has printed that."""
    assert receiver.stdout is not None
    line = receiver.stdout.readline()
    receiver.stdout.close()
    group.reap(receiver, patience=seconds + 10)
    for child in list(group.children):
        group.reap(child, signal.SIGTERM, patience=1)
    count, took = line.split()
    return float(count), float(took)


RANDSTREAM = (PYTHON, "-m", "randstream")
WITHOUT_SPEEDUPS = (
    PYTHON, "-c",
    "from randstream import speedups; from randstream.cli import main; speedups.ARE_COMPILED = False; main()",
)  # fmt: skip


def randstream(
    sink: tuple[str, ...], *, numbers: str = "bits64", with_tls: bool = False, program: tuple[str, ...] = RANDSTREAM
) -> Callable[[float], Result]:
    """randstream itself, at full speed. The worker's log gives the times and the count."""

    def run(seconds: float) -> Result:
        port = free_port()
        with process_group() as group, tempfile.TemporaryDirectory(prefix="randstream-bench-") as folder:
            arguments = [folder if word == "FOLDER" else word for word in sink]
            listen = ["--name", "worker-0", "--listen", f"127.0.0.1:{port}"]
            tls = make_certificates(Path(folder)) if with_tls else []
            worker = group.start(
                [*program, "worker", *listen, *tls, *arguments],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            wait_port(port)
            producer = group.start(
                [*program, "producer", "--workers", f"127.0.0.1:{port}", "--seed", "benchmark", "--rate", "max",
                 "--numbers", numbers, *tls],
            )  # fmt: skip
            time.sleep(seconds + START_SECONDS)
            group.reap(producer, signal.SIGTERM)
            group.reap(worker, signal.SIGTERM)
            assert worker.stderr is not None
            events = {event["event"]: event for event in map(json.loads, worker.stderr.read().splitlines())}
            worker.stderr.close()
            begun, ended = events["link.resumed"], events["link.closed"]
            took = (_time(ended) - _time(begun)).total_seconds()
            return Result(ended["acked"] - begun["offset"], took, group.usage.cpu_seconds, group.usage.peak_bytes)

    return run


def written(format_name: str, *counted_by: str, numbers: str = "bits64") -> Callable[[float], Result]:
    """`randstream numbers` in a format, into a pipe. `counted_by`: bytes a number, if they are not lines."""

    def run(seconds: float) -> Result:
        with process_group() as group:
            what = ["--seed", "benchmark", "--worker", "worker-0", "--numbers", numbers, "--count", "all"]
            source = group.start([*RANDSTREAM, "numbers", *what, "--format", format_name], stdout=subprocess.PIPE)
            counter = group.start([*COUNTER, str(seconds), *counted_by], stdin=source.stdout, stdout=subprocess.PIPE)
            assert source.stdout is not None
            source.stdout.close()
            count, took = _finish(group, counter, seconds)
        return Result(count, took, group.usage.cpu_seconds, group.usage.peak_bytes)

    return run


def stored(way: str) -> Callable[[float], Result]:
    """A store of float64, read into arrays again and again, in the `way` that `peers.read_store` knows."""

    def run(seconds: float) -> Result:
        with process_group() as group:
            reader = group.start(
                [PYTHON, "-m", "benchmarks.peers.read_store", way, str(seconds)], stdout=subprocess.PIPE
            )
            count, took = _finish(group, reader, seconds)
        return Result(count, took, group.usage.cpu_seconds, group.usage.peak_bytes)

    return run


def make_certificates(folder: Path) -> list[str]:
    """The flags of a certificate that both ends use."""
    import trustme

    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "worker-0")
    files = {"cert": certificate.cert_chain_pems[0], "key": certificate.private_key_pem, "ca": ca.cert_pem}
    for name, blob in files.items():
        blob.write_to_path(folder / name)
    return [f"--tls-{name}={folder / name}" for name in files]


def _time(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))


def pair(module: str, *extra: str, broker: Callable[[Group, int], None] | None = None) -> Callable[[float], Result]:
    """A sender and a receiver in Python, perhaps with a broker between them."""

    def run(seconds: float) -> Result:
        port = free_port()
        command = [PYTHON, "-m", f"benchmarks.peers.{module}"]
        with process_group() as group:
            if broker is not None:
                broker(group, port)
                wait_port(port)
            receiver = group.start([*command, "receive", str(port), str(seconds), *extra], stdout=subprocess.PIPE)
            if broker is not None:
                assert receiver.stdout is not None
                receiver.stdout.readline()
            elif module != "zeromq_pair":
                _wait_listening(port)
            group.start([*command, "send", str(port), str(seconds), *extra])
            count, took = _finish(group, receiver, seconds)
        return Result(count, took, group.usage.cpu_seconds, group.usage.peak_bytes)

    return run


def _wait_listening(port: int) -> None:
    """Wait until the kernel lists a listener, without connecting to it."""
    wanted = f"0100007F:{port:04X}"
    for _ in range(500):
        if any(f" {wanted} " in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines()):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")


def text_pipe(listen: tuple[str, ...], dial: tuple[str, ...]) -> Callable[[float], Result]:
    """`shuf -r` through a program that carries bytes. PORT in its words is replaced."""

    def run(seconds: float) -> Result:
        port = str(free_port())
        with process_group() as group:
            server = group.start([word.replace("PORT", port) for word in listen], stdout=subprocess.PIPE)
            counter = group.start([*COUNTER, str(seconds)], stdin=server.stdout, stdout=subprocess.PIPE)
            assert server.stdout is not None
            server.stdout.close()
            _wait_listening(int(port))
            source = group.start(
                ["shuf", "-r", "-i", "1000000000000000000-9999999999999999999"], stdout=subprocess.PIPE
            )
            group.start([word.replace("PORT", port) for word in dial], stdin=source.stdout)
            assert source.stdout is not None
            source.stdout.close()
            count, took = _finish(group, counter, seconds)
        return Result(count, took, group.usage.cpu_seconds, group.usage.peak_bytes)

    return run


def netcat_each(seconds: float) -> Result:
    """The old way: a new netcat for each number."""
    port = str(free_port())
    with process_group() as group:
        server = group.start(["nc.openbsd", "-lk", "127.0.0.1", port], stdout=subprocess.PIPE)
        counter = group.start([*COUNTER, str(seconds)], stdin=server.stdout, stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.close()
        _wait_listening(int(port))
        group.start(["sh", "-c", f"while :; do echo 18446744073709551615 | nc.openbsd -N 127.0.0.1 {port}; done"])
        count, took = _finish(group, counter, seconds)
    return Result(count, took, group.usage.cpu_seconds, group.usage.peak_bytes)


def iperf3(seconds: float) -> Result:
    """The limit of loopback, in numbers of the mean length."""
    port = str(free_port())
    with process_group() as group:
        group.start(["iperf3", "-s", "-B", "127.0.0.1", "-p", port, "-1"], stdout=subprocess.DEVNULL)
        _wait_listening(int(port))
        client = group.start(
            ["iperf3", "-c", "127.0.0.1", "-p", port, "-t", str(max(1, round(seconds))), "-J"], stdout=subprocess.PIPE
        )
        assert client.stdout is not None
        report = json.loads(client.stdout.read())
        client.stdout.close()
        for child in list(group.children):
            group.reap(child)
    received = report["end"]["sum_received"]
    return Result(
        received["bytes"] / NUMBER_BYTES, received["seconds"], group.usage.cpu_seconds, group.usage.peak_bytes
    )


def nats_broker(group: Group, port: int) -> None:
    """nats-server on loopback."""
    group.start(["nats-server", "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL)


def redis_broker(group: Group, port: int) -> None:
    """redis-server on loopback, without disk."""
    group.start(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--client-output-buffer-limit", "pubsub 0 0 0"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


SOCAT = ("socat", "-u", "-b", "1048576")
CONTENDERS = (
    Contender("randstream, discard", randstream(("--discard",))),
    Contender("randstream, stdout to /dev/null", randstream(())),
    Contender("randstream, command (cat)", randstream(("--", "sh", "-c", "cat >/dev/null"))),
    Contender("randstream, store", randstream(("--store", "FOLDER"))),
    Contender("randstream, discard, TLS", randstream(("--discard",), with_tls=True), ("trustme",)),
    Contender("randstream, discard, without speed-ups", randstream(("--discard",), program=WITHOUT_SPEEDUPS)),
    Contender("randstream, discard, uniform", randstream(("--discard",), numbers="uniform:0:1")),
    Contender("randstream, discard, exponential", randstream(("--discard",), numbers="exponential:1")),
    Contender("randstream, discard, normal", randstream(("--discard",), numbers="normal:0:1")),
    Contender(
        "randstream, discard, normal, without speed-ups",
        randstream(("--discard",), numbers="normal:0:1", program=WITHOUT_SPEEDUPS),
    ),
    Contender("numbers --format raw", written("raw", "8")),
    Contender("numbers --format text", written("text")),
    Contender("numbers --format csv", written("csv")),
    Contender("numbers --format csv, normal", written("csv", numbers="normal:0:1")),
    Contender("a store of normals, read_store", stored("read_store")),
    Contender("a store of normals, open_store in blocks", stored("open_store")),
    Contender("a store of normals, numpy.fromstring", stored("fromstring")),
    Contender("iperf3 (bytes, no numbers)", iperf3, ("iperf3",)),
    Contender("ZeroMQ, 1000 a message", pair("zeromq_pair", "1000"), ("zmq",)),
    Contender("ZeroMQ, 1 a message", pair("zeromq_pair", "1"), ("zmq",)),
    Contender("NATS, 1000 a message", pair("nats_pair", "1000", broker=nats_broker), ("nats-server", "nats")),
    Contender("NATS, 1 a message", pair("nats_pair", "1", broker=nats_broker), ("nats-server", "nats")),
    Contender("Redis, 1000 a message", pair("redis_pair", "1000", broker=redis_broker), ("redis-server", "redis")),
    Contender("Redis, 1 a message", pair("redis_pair", "1", broker=redis_broker), ("redis-server", "redis")),
    Contender(
        "shuf | socat", text_pipe((*SOCAT, "TCP-LISTEN:PORT,bind=127.0.0.1", "-"), (*SOCAT, "-", "TCP:127.0.0.1:PORT")),
        ("shuf", "socat"),
    ),
    Contender(
        "shuf | nc", text_pipe(("nc.openbsd", "-l", "127.0.0.1", "PORT"), ("nc.openbsd", "127.0.0.1", "PORT")),
        ("shuf", "nc.openbsd"),
    ),
    Contender(
        "shuf | ncat", text_pipe(("ncat", "-l", "127.0.0.1", "PORT"), ("ncat", "127.0.0.1", "PORT")), ("shuf", "ncat")
    ),
    Contender("plain asyncio, a line at a time", pair("asyncio_pair")),
    Contender("nc, one process a number", netcat_each, ("nc.openbsd",)),
)  # fmt: skip
