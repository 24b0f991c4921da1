"""The contract tests: rules of a course reset as black-box checks, for any implementation of the HTTP API.

They know nothing of the reference server except what it answers over HTTP.
"""

from training_sdk.testing.contract.command import check, main
from training_sdk.testing.contract.findings import CannotRunError, CheckResult, Finding, Report
from training_sdk.testing.contract.runner import run
from training_sdk.testing.contract.wire import Wire

__all__ = ["CannotRunError", "CheckResult", "Finding", "Report", "Wire", "check", "main", "run"]
