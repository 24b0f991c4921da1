"""``sign``: approval by a second person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from training_sdk.approval.approvals import Approval
from training_sdk.approval.four_eyes import NAMESPACE, check_signature
from training_sdk.cli.commands.plan import CONFIRM, FILE, options
from training_sdk.cli.interaction import confirmed
from training_sdk.cli.output import is_terminal, refuse_existing
from training_sdk.cli.session import ALL, Session, is_pipe, with_session
from training_sdk.errors import ApprovalError, InvalidArgumentError
from training_sdk.plans.plan import ResetPlan


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN.json")
@click.option(
    "--key",
    type=FILE,
    metavar="PATH",
    help="Sign with this SSH key. Without it the approval is procedural (unsigned).",
)
@CONFIRM
@click.option(
    "--save",
    type=FILE,
    metavar="FILE",
    help="The new file of the approval. [default: PLAN.approval.json beside the plan]",
)
@options(ALL)
@with_session
def sign(session: Session, plan: Path, key: Path | None, confirm: str | None, save: Path | None) -> None:
    """Approve a plan that another person made, as the owner of your token. Nothing is reset.

    Give the file to the person who applies the plan: training-sdk apply PLAN.json --approval FILE.
    """
    import sys

    if save is None and is_pipe(plan):
        raise InvalidArgumentError(f"{plan} is a pipe. Name the file of the approval with --save.")
    loaded = ResetPlan.load(plan)
    target = save or plan.with_suffix(".approval.json")
    refuse_existing(target, "an approval")
    (session.out.show if confirm is None else session.out.say)(loaded)
    phrase = confirmed(session.out, loaded.phrase, confirm)
    client = session.client()
    if client.users.me().user_id == loaded.origin.user_id:
        session.out.warn(
            "Warning: This token belongs to the person who made the plan. The approval is valid only if "
            "another person applies the plan."
        )
    approval = client.resets.approve(
        loaded, confirm=phrase, key=key, interactive=is_terminal(sys.stdin) and is_terminal(sys.stderr)
    )
    _warn_of_signers(session, approval)
    approval.save(target)
    session.invocation.recorded = saved = f"The approval is in {target}."
    session.out.document({"approval": approval.document(), "saved": str(target)})
    session.out.say(approval)
    session.out.note(saved)


def _warn_of_signers(session: Session, approval: Approval) -> None:
    """Warn about a signature that this profile's file of allowed signers would not accept."""
    signers = session.profile.allowed_signers
    if approval.signature is None or signers is None:
        return
    try:
        check_signature(
            approval.message,
            approval.signature,
            signers,
            user_id=approval.approver.user_id,
            role="approver",
            namespace=NAMESPACE,
            now=datetime.now(UTC),
        )
    except ApprovalError as error:
        session.out.warn(f"Warning: {signers} does not accept this approval: {error.message}")
