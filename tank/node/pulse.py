"""Who waits for news of a pod is woken; what the news is, they look up. A lost pulse costs latency only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class Subscription:
    """The names that changed since the last look."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._news = asyncio.Event()

    def add(self, name: str) -> None:
        """Something about `name` may have changed."""
        self._names.add(name)
        self._news.set()

    async def take(self) -> frozenset[str]:
        """Wait for news, and take all of it."""
        await self._news.wait()
        self._news.clear()
        names, self._names = frozenset(self._names), set()
        return names


class Pulse:
    """The news of this machine's pods."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, name: str) -> None:
        """Wake everyone who follows."""
        for each in self._subscriptions:
            each.add(name)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Follow from now on, until the block ends."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
