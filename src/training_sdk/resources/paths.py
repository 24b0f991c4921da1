"""Learning paths: courses in an order."""

from __future__ import annotations

from training_sdk._core import argument_checks, codec, pagination, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Walk
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.models.paths import LearningPath, LearningPathDetail


class Paths(Bound[D]):
    """``client.paths``"""

    @listing
    def list(self) -> Walk[LearningPath]:
        """List learning paths; learners see the published ones that are assigned to them.

        REST: ``GET /training/paths/v1`` (third-party).
        """
        return _listed(self._calls)

    @operation
    def get(self, path_id: str) -> Flow[LearningPathDetail]:
        """Return one learning path with its courses, in order, as far as this token sees them.

        REST: ``GET /training/paths/v1/{pathId}`` (path published, courses assumed).
        """
        return get_path(self._calls, argument_checks.one_id(path_id, "path_id"))


def _listed(calls: Calls) -> Walk[LearningPath]:
    return pagination.numbered(
        calls, "/training/paths/v1", LearningPath, identify=lambda path: path.id, limit="catalogue"
    )


def all_paths(calls: Calls) -> Flow[tuple[LearningPath, ...]]:
    """Every learning path, for planning a reset."""
    return _listed(calls).gather()


def get_path(calls: Calls, path_id: str) -> Flow[LearningPathDetail]:
    """One learning path, for this resource and for planning a reset."""
    path = urls.path("/training/paths/v1/{id}", id=path_id)
    return calls.call(Request("GET", path, limit="catalogue"), codec.decoder(LearningPathDetail))
