"""Groups and sites, and who is in them."""

from __future__ import annotations

from attrs import field, frozen

from training_sdk.models.base import Model, may_omit


@frozen
class Group(Model):
    """A group of people (published). Two groups may have one name."""

    id: str
    name: str = field(metadata=may_omit(""))
    organisation_id: str | None = None


@frozen
class GroupMember(Model):
    """One person's place in one group (published)."""

    user_id: str
    group_id: str
    organisation_id: str | None = None


@frozen
class Site(Model):
    """A place of work (published); ``parent_id`` is the site it belongs to, if any. Two sites may have one name."""

    id: str
    name: str = field(metadata=may_omit(""))
    organisation_id: str | None = None
    deleted: bool = False
    parent_id: str | None = None
    creator_id: str | None = None
    site_uuid: str | None = None
    meta_label: str | None = None


@frozen
class SiteMember(Model):
    """One person's place at one site (published); ``member_id`` is their user id."""

    site_id: str
    member_id: str

    @property
    def user_id(self) -> str:
        """``member_id``, by the name that it has everywhere else."""
        return self.member_id
