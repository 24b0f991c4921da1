"""Learning paths and collections: groups of courses with a title."""

from __future__ import annotations

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Paginator
from training_sdk._core.model import Model, has_other_lists, may_omit
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.api import pagination
from training_sdk.api.courses import Course


@frozen
class LearningPath(Model):
    """A learning path in a list (third-party)."""

    id: str
    title: str = field(metadata=may_omit(""))
    is_published: bool | None = None


@frozen
class LearningPathDetail(Model):
    """A learning path with its courses, in order. **Assumed**: the answer contains the courses."""

    id: str
    title: str = field(metadata=may_omit(""))
    courses: tuple[Course, ...] = field(metadata=may_omit([], unless=has_other_lists))
    is_published: bool | None = None


@frozen
class Collection(Model):
    """A collection of courses (shape assumed)."""

    id: str
    title: str | None = field(default=None, metadata={"also": ("name",)})
    is_published: bool | None = None


class Paths(Bound[D]):
    """``client.paths``"""

    @listing
    def list(self) -> Paginator[LearningPath]:
        """List learning paths. Learners see only published ones that are assigned to them.

        REST: ``GET /training/paths/v1`` (third-party).
        """
        return _listed(self._calls)

    @operation
    def get(self, path_id: str) -> Flow[LearningPathDetail]:
        """Return one learning path with those of its courses that this token can see, in order.

        Raises NotFoundError if there is no such learning path or this token cannot see it.

        REST: ``GET /training/paths/v1/{pathId}`` (path published, courses assumed).
        """
        return get_path(self._calls, argument_checks.one_id(path_id, "path_id"))


def _listed(calls: Calls) -> Paginator[LearningPath]:
    return pagination.numbered_pages(
        calls, "/training/paths/v1", LearningPath, identify=lambda path: path.id, limit="catalogue"
    )


def all_paths(calls: Calls) -> Flow[tuple[LearningPath, ...]]:
    """Return every learning path, for planning a reset."""
    return _listed(calls).gather()


def get_path(calls: Calls, path_id: str) -> Flow[LearningPathDetail]:
    """Return one learning path, for this resource and for planning a reset."""
    path = urls.path("/training/paths/v1/{id}", id=path_id)
    return calls.call(Request("GET", path, limit="catalogue"), codec.decoder(LearningPathDetail))


class Collections(Bound[D]):
    """``client.collections``"""

    @listing
    def list(self) -> Paginator[Collection]:
        """List collections. Learners see only published ones that are assigned to them.

        REST: ``GET /training/collections/v1`` (path published, shape assumed).
        """
        return pagination.numbered_pages(
            self._calls, "/training/collections/v1", Collection, limit="catalogue"
        )

    @listing
    def courses(self, collection_id: str) -> Paginator[Course]:
        """List the courses of a collection.

        REST: ``GET /training/collections/v1/{courseCollectionId}/courses`` (path published, shape assumed).
        """
        path = urls.path(
            "/training/collections/v1/{id}/courses", id=argument_checks.one_id(collection_id, "collection_id")
        )
        return pagination.numbered_pages(self._calls, path, Course, limit="catalogue")
