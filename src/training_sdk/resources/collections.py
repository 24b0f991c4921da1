"""Collections: courses that belong together."""

from __future__ import annotations

from training_sdk._core import argument_checks, pagination, urls
from training_sdk._core.listing import Walk
from training_sdk._core.operation import Bound, D, listing
from training_sdk.models.courses import Course
from training_sdk.models.paths import Collection


class Collections(Bound[D]):
    """``client.collections``"""

    @listing
    def list(self) -> Walk[Collection]:
        """List collections; learners see the published ones that are assigned to them.

        REST: ``GET /training/collections/v1`` (path published, shape assumed).
        """
        return pagination.numbered(self._calls, "/training/collections/v1", Collection, limit="catalogue")

    @listing
    def courses(self, collection_id: str) -> Walk[Course]:
        """List the courses of a collection.

        REST: ``GET /training/collections/v1/{courseCollectionId}/courses`` (path published, shape assumed).
        """
        path = urls.path(
            "/training/collections/v1/{id}/courses", id=argument_checks.one_id(collection_id, "collection_id")
        )
        return pagination.numbered(self._calls, path, Course, limit="catalogue")
