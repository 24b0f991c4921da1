"""Modules that have moved: the old names are still imported, as the same module."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "training_sdk._core.pacing": "training_sdk.records.request_budget",
    "training_sdk.approval.confirmation": "training_sdk.approval.approvals",
    "training_sdk.digests": "training_sdk.plans.wording",
    "training_sdk.evidence.gaps": "training_sdk.evidence.reading",
    "training_sdk.format_proof.proof_plan": "training_sdk.format_proof.proofs",
    "training_sdk.format_proof.traces": "training_sdk.plans.reset_effect",
    "training_sdk.frames.arrow": "training_sdk.frames.sinks",
    "training_sdk.frames.parquet": "training_sdk.frames.sinks",
    "training_sdk.frames.rows": "training_sdk.frames.methods",
    "training_sdk.frames.text": "training_sdk.frames.columns",
    "training_sdk.local_plans.audit_quotes": "training_sdk.local_plans.admission",
    "training_sdk.models.base": "training_sdk._core.model",
    "training_sdk.models.paths": "training_sdk.api.learning_paths",
    "training_sdk.models.slides": "training_sdk.api.analytics",
    "training_sdk.models.surveys": "training_sdk.api.analytics",
    "training_sdk.plan_references": "training_sdk.plans.wording",
    "training_sdk.plans.before_after": "training_sdk.plans.planned",
    "training_sdk.plans.course_rows": "training_sdk.plans.reading",
    "training_sdk.plans.origin": "training_sdk.plans.reading",
    "training_sdk.plans.selection": "training_sdk.plans.people",
    "training_sdk.prove_format": "training_sdk.format_proof",
    "training_sdk.prove_format.operations": "training_sdk.format_proof.operations",
    "training_sdk.prove_format.proof_ends": "training_sdk.format_proof.proof_ends",
    "training_sdk.prove_format.proof_planner": "training_sdk.format_proof.proof_planner",
    "training_sdk.prove_format.proof_run": "training_sdk.format_proof.proof_run",
    "training_sdk.prove_format.proof_validity": "training_sdk.local_plans.admission",
    "training_sdk.prove_format.refusal_proof": "training_sdk.format_proof.proof_run",
    "training_sdk.recertification.civil": "training_sdk.recertification.rules",
    "training_sdk.record_audit": "training_sdk.local_plans",
    "training_sdk.record_audit.record_check": "training_sdk.local_plans.record_check",
    "training_sdk.record_audit.record_comparison": "training_sdk.local_plans.record_comparison",
    "training_sdk.record_audit.record_reading": "training_sdk.local_plans.record_reading",
    "training_sdk.records.folding": "training_sdk.records.journal_state",
    "training_sdk.records.in_flight": "training_sdk.records.journal",
    "training_sdk.reset_format": "training_sdk.safeguards",
    "training_sdk.resets.closing": "training_sdk.local_plans.closing",
    "training_sdk.resets.operations": "training_sdk.reset_operations",
    "training_sdk.resets.proofs": "training_sdk.format_proof.proofs",
    "training_sdk.resets.recipients": "training_sdk.resets.reset_request",
    "training_sdk.resets.recordcheck": "training_sdk.local_plans.record_check",
    "training_sdk.resets.traces": "training_sdk.plans.reset_effect",
    "training_sdk.resources.collections": "training_sdk.api.learning_paths",
    "training_sdk.resources.paths": "training_sdk.api.learning_paths",
    "training_sdk.resources.sites": "training_sdk.api.groups",
    "training_sdk.shell_commands": "training_sdk.plans.wording",
    "training_sdk.testing.contract.config": "training_sdk.testing.contract.environment",
    "training_sdk.verification": "training_sdk.resets",
    "training_sdk.verification.verification_result": "training_sdk.resets.verification_result",
    "training_sdk.verification.verifying": "training_sdk.resets.verifying",
}
"""Old name to new name."""
_OLD_API = re.compile(r"training_sdk\.(?:models|resources)(?=\.|$)")
"""Two former packages; their modules have the same names in ``training_sdk.api``, but for those in the table."""


def new_name(old: str) -> str:
    """Return the present name of a module; the same name if it has not moved."""
    return MOVED.get(old) or _OLD_API.sub("training_sdk.api", old)


class MovedModules:
    """Answer the import of an old module name with the module at its new place.

    Without the base classes of ``importlib.abc``, whose import takes longer than the rest of this package.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a moved module, None for any other."""
        loader: Any = self
        return ModuleSpec(fullname, loader) if new_name(fullname) != fullname else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module at its new place."""
        module = importlib.import_module(new_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Keep the module as it is: it was executed under its new name."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


# Before the finder of folders, which would load a module of a moved package a second time under its old name.
sys.meta_path.insert(0, MovedModules())
