"""The contract kit: the rules of a course reset as black-box checks, for any implementation behind the wire.

It knows nothing of the reference server but what goes over HTTP.
"""

from training_sdk.testing.contract.command import check, main
from training_sdk.testing.contract.findings import CannotRunError, Finding, Report
from training_sdk.testing.contract.runner import run
from training_sdk.testing.contract.wire import Wire

__all__ = ["CannotRunError", "Finding", "Report", "Wire", "check", "main", "run"]
