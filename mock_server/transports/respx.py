"""A transport for the library respx: every httpx client in the process reaches the world without a change.

The only module of the reference server that imports respx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import respx
from respx.models import AllMockedAssertionError, PassThrough

from mock_server.transports.common import Unhandled, checked_hosts, refusal
from mock_server.transports.httpx import MockTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from mock_server.transports.common import Handler


class MockRouter(respx.MockRouter):
    """respx's own router, with the world behind the route ``training``; routes for other hosts may be added."""

    def __init__(self, handler: Handler, hosts: str | Iterable[str], unhandled: Unhandled) -> None:
        super().__init__(assert_all_called=False)
        self._hosts = checked_hosts(hosts, unhandled)
        self._unhandled = unhandled
        self._transport = MockTransport(handler)
        self._training = self.route(host__in=tuple(sorted(self._hosts)), name="training")

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a synchronous client."""
        if request.url.host not in self._hosts:
            try:
                return super().handler(request)
            except AllMockedAssertionError:
                self._turn_away(request)
        response: httpx.Response | None = None
        try:
            response = self._transport.handle_request(request)
            response.read()
        finally:
            self.record(request, response=response, route=self._training)
        return response

    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an asynchronous client."""
        if request.url.host not in self._hosts:
            try:
                return await super().async_handler(request)
            except AllMockedAssertionError:
                self._turn_away(request)
        response: httpx.Response | None = None
        try:
            response = await self._transport.handle_async_request(request)
            await response.aread()
        finally:
            self.record(request, response=response, route=self._training)
        return response

    def _turn_away(self, request: httpx.Request) -> NoReturn:
        if self._unhandled == "pass":
            raise PassThrough("The request is not for this world.", request=request, origin=self._training)
        # An AssertionError, as respx has it, so that no "except httpx.HTTPError" swallows it.
        raise AllMockedAssertionError(refusal(request.url.host, self._hosts)) from None
