"""Watched: all that `top` watches: the addresses that were given, and those that DNS names."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from ...clock import Clock
from ...errors import SettingsError
from ...settings.addresses import Target, check_target
from .polled import Look
from .source import Source
from .view import View, Wanted

if TYPE_CHECKING:
    from ...producer.dns import Dns
    from .service import Service


class Watched:
    """The admin servers at `urls`; `srv://` and `dns://` stand for all that DNS names, by HTTPS if `ca_file` is given.
    They are asked as long as the context lasts.

    `token_file` and `ca_file`: as in `Source`. Raises SettingsError: one of `urls` names nothing, or `ca_file` is
    unusable or of no use.
    """

    def __init__(
        self,
        urls: Iterable[str],
        wanted: Wanted,
        token_file: str | None = None,
        ca_file: str | None = None,
        dns: Dns | None = None,
    ) -> None:
        self._token_file, self._ca_file = token_file, ca_file
        self._wanted = wanted
        self._news = threading.Event()
        self._clock = Clock()
        self._services: list[Service] = []
        self._given: list[View] = []
        self._found: dict[str, View] = {}
        for url in dict.fromkeys(urls):
            if url.startswith(("srv://", "dns://")):
                self._services.append(self._service(_check_service(url), dns))
            else:
                self._given.append(self._view(url))
        if ca_file is not None and not self._services and not any(view.source.is_secure for view in self._given):
            raise SettingsError("--ca is of no use without an https:// URL; give https://HOST:PORT")

    def __enter__(self) -> Self:
        for each in (*self._given, *self._services):
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (*self._given, *self._found.values(), *self._services):
            each.stop()

    def wait(self, seconds: float, *, for_all: bool) -> None:
        """Wait until one answers, or `for_all` until each has answered or failed; no longer than `seconds`."""
        end = self._clock.now() + seconds
        while not self._has_enough(for_all) and (left := end - self._clock.now()) > 0:
            self._news.wait(left)
            self._news.clear()

    def want(self, wanted: Wanted) -> None:
        """Ask all for this from now on."""
        self._wanted = wanted
        for view in self._views():
            view.want(wanted)

    def looks(self) -> list[Look]:
        """What is known of each now; of a service only what is wrong."""
        troubles = [look for service in self._services if (look := service.look()) is not None]
        return troubles + [view.look() for view in self._views()]

    def _has_enough(self, for_all: bool) -> bool:
        views = self._views()
        if not for_all and any(view.snapshot is not None for view in views):
            return True
        return all(each.is_asked for each in (*views, *self._services))

    def _views(self) -> list[View]:
        """All of them; those that DNS no longer names are kept while they answer, as a pod that is not ready does."""
        named = dict.fromkeys(address for service in self._services for address in service.addresses)
        for address in named:
            if address not in self._found:
                self._found[address] = view = self._view(f"{'https' if self._ca_file else 'http'}://{address}")
                view.start()
        for address in [each for each, view in self._found.items() if each not in named and not view.look().answers]:
            self._found.pop(address).stop()
        return [*self._given, *self._found.values()]

    def _view(self, url: str) -> View:
        return View(Source(url, self._token_file, self._ca_file), self._wanted, self._news)

    def _service(self, target: Target, dns: Dns | None) -> Service:
        from ...producer.dns import Dns  # 0.25 s, and only for services
        from .service import Service

        return Service(target, dns or Dns(), self._news)


def _check_service(url: str) -> Target:
    try:
        return check_target(url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
