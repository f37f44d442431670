"""Metrics: every metric there is, read from a role's plain attributes when Prometheus asks. No global registry.

`randstream_<noun>_<unit>`, counters end in `_total`. Labels are bounded: reasons and states are few, and no more than
LABELLED_LINKS links have series of their own. `docs/operations.md` lists what is here, and a test compares.
"""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily as Count
from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
from prometheus_client.metrics_core import HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .. import __version__
from ..errors import Reason
from ..observe.expiry import Certificate
from ..observe.status import LinkState, ObservedLink, ObservedRole
from ..observe.tally import Buckets

LABELLED_LINKS: Final = 256
"""Links with series of their own. Prometheus takes more, but nobody reads them; the totals cover all links."""
_SPOKEN: Final = {"0.0.1", "0.0.4", "1.0.0"}
"""Versions of Prometheus's text and of OpenMetrics."""
_VERSION: Final = re.compile(r";\s*version=([^;]*)")


class Metrics(Collector):
    """The metrics of `role`, and of the server's own certificate. The server counts `loop_lag`; prometheus-client calls
    `collect`.
    """

    def __init__(
        self,
        role: ObservedRole,
        loop_lag: Buckets,
        count_clients: Callable[[], dict[str, int]],
        own_certificates: Callable[[], list[Certificate]] = list,
    ) -> None:
        self._role = role
        self._loop_lag = loop_lag
        self._count_clients = count_clients
        self._own_certificates = own_certificates
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The text for a scraper that sends `Accept: <accept>`, and its content type."""
        encode, content_type = choose_encoder(_spoken(accept))
        return encode(self._registry), content_type

    def collect(self) -> Iterable[Metric]:
        yield from self._of_both()
        yield from self._of_producer() if self._role.role == "producer" else self._of_worker()
        yield from self._of_links(list(self._role.links), self._role.clock.now())

    def _of_both(self) -> Iterable[Metric]:
        role, tally = self._role, self._role.tally
        build = {"version": __version__, "role": role.role, "name": role.name, "python": platform.python_version()}
        yield InfoMetricFamily("randstream_build", "What runs here", build)
        yield Gauge("randstream_ready", "1 when /readyz says so, else 0", role.problem is None)
        text = "Connections that carried numbers and ended"
        yield _by("reason", Count, "randstream_connections_ended", text, _each_reason(tally.ends))
        text = "Connections and attempts that never carried a number"
        yield _by("reason", Count, "randstream_connections_failed", text, _each_reason(tally.failures))
        yield self._interruptions()
        text = "How late the event loop came back to a timer, once a second"
        yield _times("randstream_event_loop_lag_seconds", text, self._loop_lag)
        text = "Clients of endless answers"
        yield _by("of", Gauge, "randstream_admin_clients", text, self._count_clients())
        yield from self._of_certificates()

    def _of_producer(self) -> Iterable[Metric]:
        tally = self._role.tally
        yield Count("randstream_numbers_sent", "Numbers written to connections", tally.numbers)
        yield Count("randstream_sent_bytes", "Bytes of number lines written to connections", tally.number_bytes)
        yield Count("randstream_numbers_acked", "Numbers that workers acknowledged", tally.acked_numbers)
        yield _times("randstream_round_trip_seconds", "From a beat to its ack", tally.round_trips)

    def _of_worker(self) -> Iterable[Metric]:
        tally = self._role.tally
        yield Count("randstream_numbers_received", "Numbers read from connections", tally.numbers)
        yield Count("randstream_received_bytes", "Bytes of number lines read from connections", tally.number_bytes)
        yield Count("randstream_numbers_committed", "Numbers in the sink and acknowledged", tally.acked_numbers)
        yield _times("randstream_commit_seconds", "How long the sink took to commit an interval", tally.commits)
        [link] = self._role.links
        is_served = link.state in (LinkState.STREAMING, LinkState.STALLED)
        yield Gauge("randstream_served", "1 while a producer serves this worker, else 0", is_served)
        standbys = link.status(self._role.clock.now(), 0.0).standbys
        yield Gauge("randstream_standbys", "Producers that stand by for this worker", len(standbys))
        text = "1 while the sink takes numbers but needs a person: see /api/links"
        yield Gauge("randstream_sink_warning", text, self._role.warning is not None)
        store = None if self._role.tap is None else self._role.tap.store
        text = "Streams of this worker's name in its store, besides the open one"
        yield Gauge("randstream_store_other_streams", text, 0 if store is None else store.other_streams)
        yield Count("randstream_sink_failures", "Times that the sink could not open or commit", tally.sink_failures)

    def _of_certificates(self) -> Iterable[Metric]:
        names = ["setting", "file"]
        text = "When the certificate expires, in seconds since 1970"
        expiries = Gauge("randstream_certificate_expiry_timestamp_seconds", text, labels=names)
        text = "When the certificate became valid, in seconds since 1970"
        starts = Gauge("randstream_certificate_not_before_timestamp_seconds", text, labels=names)
        for certificate in (*self._role.certificates, *self._own_certificates()):
            label = certificate.setting, certificate.file
            expiries.add_metric(label, certificate.not_after)
            starts.add_metric(label, certificate.not_before)
        yield expiries
        yield starts

    def _interruptions(self) -> Metric:
        text = "From the last byte heard to the first proof of progress after it, by what interrupted the link"
        metric = HistogramMetricFamily("randstream_interruption_seconds", text, labels=["cause"])
        for cause, buckets in self._role.tally.interruptions.items():
            metric.add_metric([cause], _cumulate(buckets), sum_value=buckets.total)
        return metric

    def _of_links(self, links: list[ObservedLink], now: float) -> Iterable[Metric]:
        counts = Counter(link.state for link in links)
        states = {str(state): counts[state] for state in LinkState}
        yield _by("state", Gauge, "randstream_links", "Links by what they are doing", states)
        labelled = {link.label: link for link in links[:LABELLED_LINKS]}
        names = ["worker", "peer"]
        offsets = Gauge("randstream_stream_offset_numbers", "Offset of the next number", labels=names)
        text = "Numbers sent or received that are not acknowledged"
        lags = Gauge("randstream_stream_lag_numbers", text, labels=names)
        text = "How long the current interruption has lasted, 0 without one; what the link does, and what interrupts it"
        interrupted = Gauge("randstream_link_interrupted_seconds", text, labels=[*names, "state", "cause"])
        for label, link in labelled.items():
            status = link.status(now, 0.0)
            current = status.interruptions.current
            offsets.add_metric(label, status.offset)
            lags.add_metric(label, status.offset - status.acked_offset)
            seconds, cause = (0.0, "") if current is None else (current.seconds, str(current.cause))
            interrupted.add_metric([*label, str(status.state), cause], seconds)
        yield offsets
        yield lags
        yield interrupted
        yield Gauge("randstream_links_unlabelled", "Links without series of their own", len(links) - len(labelled))


def _spoken(accept: str) -> str:
    """`accept` without the versions that nobody here speaks: prometheus-client would answer in their name, or fail."""
    ranges = accept.split(",")
    return ",".join(each for each in ranges if {found.strip() for found in _VERSION.findall(each)} <= _SPOKEN)


def _each_reason(counts: Mapping[str, int]) -> dict[str, float]:
    """All reasons, also those not counted yet: Prometheus sees no increase where a series begins at 1."""
    return {str(reason): counts.get(reason, 0) for reason in Reason}


def _by(label: str, kind: type[Count | Gauge], name: str, text: str, values: Mapping[str, float]) -> Metric:
    metric = kind(name, text, labels=[label])
    for value, number in values.items():
        metric.add_metric([value], number)
    return metric


def _times(name: str, text: str, buckets: Buckets) -> Metric:
    return HistogramMetricFamily(name, text, buckets=_cumulate(buckets), sum_value=buckets.total)


def _cumulate(buckets: Buckets) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, buckets.bounds), "+Inf"]
    return list(zip(bounds, accumulate(map(float, buckets.counts)), strict=True))
