"""Learning paths: courses in an order."""

from __future__ import annotations

from training_sdk import _checks, _codec, _paging, _urls
from training_sdk._flow import Flow, Request
from training_sdk._operation import Bound, D, listing, operation
from training_sdk._pages import Calls, Walk
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
        return get_path(self._calls, _checks.one_id(path_id, "path_id"))


def _listed(calls: Calls) -> Walk[LearningPath]:
    return _paging.numbered(
        calls, "/training/paths/v1", LearningPath, identify=lambda path: path.id, limit="catalogue"
    )


def all_paths(calls: Calls) -> Flow[tuple[LearningPath, ...]]:
    """Every learning path, for planning a reset."""
    return _listed(calls).gather()


def get_path(calls: Calls, path_id: str) -> Flow[LearningPathDetail]:
    """One learning path, for this resource and for planning a reset."""
    path = _urls.path("/training/paths/v1/{id}", id=path_id)
    return calls.call(Request("GET", path, limit="catalogue"), _codec.decoder(LearningPathDetail))
