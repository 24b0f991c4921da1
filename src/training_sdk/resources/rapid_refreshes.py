"""Rapid refreshes: a few questions now and then, of the organisation and not of a course."""

from __future__ import annotations

from training_sdk._core import argument_checks, codec, pagination, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Walk
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.models.rapid_refreshes import RapidRefresh, RapidRefreshDetail


class RapidRefreshes(Bound[D]):
    """``client.rapid_refreshes``; who answered what is in ``client.analytics.rapid_refresh_answers``."""

    @listing
    def list(self) -> Walk[RapidRefresh]:
        """List rapid refreshes; learners see the published ones that are assigned to them.

        REST: ``GET /training/rapid-refresh/v1`` (path published, shape assumed).
        """
        return pagination.numbered(self._calls, "/training/rapid-refresh/v1", RapidRefresh, limit="catalogue")

    @operation
    def get(self, rapid_refresh_id: str) -> Flow[RapidRefreshDetail]:
        """Return one rapid refresh with its questions, in order; which answers are right is not told.

        REST: ``GET /training/rapid-refresh/v1/{rapidRefreshId}`` (path published, shape assumed).
        """
        path = urls.path(
            "/training/rapid-refresh/v1/{id}", id=argument_checks.one_id(rapid_refresh_id, "rapid_refresh_id")
        )
        return self._calls.call(Request("GET", path, limit="catalogue"), codec.decoder(RapidRefreshDetail))
