"""``whoami``: whose token is in use, and where."""

from __future__ import annotations

import click

from training_sdk.cli.documents import plain
from training_sdk.cli.session import Session, with_session


@click.command()
@with_session
def whoami(session: Session) -> None:
    """Show whose token this is, for which organisation and server, and where it comes from. Only reads."""
    client = session.client()
    me = client.users.me()
    profile = session.profile
    session.out.document(
        {
            "me": plain(me),
            "base_url": client.base_url,
            "profile": profile.name,
            "token_source": profile.token_source,
        }
    )
    name = " ".join(part for part in (me.firstname, me.lastname) if part)
    rows = (
        ("name", name),
        ("user id", me.user_id),
        ("organisation id", me.organisation_id),
        ("server", client.base_url),
        ("profile", profile.name or "none"),
        ("token from", profile.token_source),
    )
    session.out.table(("what", "value"), rows)
