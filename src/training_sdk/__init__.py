"""Unofficial typed SDK for SafetyCulture Training: courses, progress, and resets that cannot go wrong quietly."""

import importlib as _importlib
import typing as _typing

from training_sdk import _moved as _moved  # first: old module names are importable from here on
from training_sdk._version import __version__

if _typing.TYPE_CHECKING:
    from training_sdk._core.argument_checks import RawResponse
    from training_sdk._core.listing import Page
    from training_sdk._core.operation import AsyncListing, Listing
    from training_sdk.api.analytics import (
        CourseStatistics,
        LessonAttempt,
        LessonEvent,
        LessonEventType,
        LessonProgress,
        LessonStatistics,
        SlideProgress,
        SlideStatistics,
        SlideType,
        SurveyAnswer,
        SurveyAnswerType,
        SurveyQuestion,
    )
    from training_sdk.api.courses import AssignmentResult, Course, CourseStatus, DueBy, Lesson, OriginalCourse
    from training_sdk.api.groups import Group, GroupMember, Site, SiteMember
    from training_sdk.api.leaderboards import Leaderboard, LeaderboardRankings, Ranking
    from training_sdk.api.learning_paths import Collection, LearningPath, LearningPathDetail
    from training_sdk.api.permissions import PermissionSet, PermissionSetIdentifier
    from training_sdk.api.progress import CompletionStatus, ProgressRow, ProgressState, ProgressTableRow
    from training_sdk.api.rapid_refreshes import (
        RapidRefresh,
        RapidRefreshAnswer,
        RapidRefreshDetail,
        RapidRefreshQuestion,
    )
    from training_sdk.api.users import FeedUser, Me, SeatType, User, UserStatus
    from training_sdk.api.webhooks import (
        EventActor,
        EventFacts,
        EventResource,
        TriggerEvent,
        Webhook,
        WebhookEvent,
        WebhookSecret,
        read_event,
    )
    from training_sdk.approval.approvals import Approval, Approver
    from training_sdk.client import AsyncTrainingClient, TrainingClient
    from training_sdk.errors import (
        AlreadyAppliedError,
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        ApprovalError,
        AuthenticationError,
        BadRequestError,
        ClockError,
        ConfirmationError,
        ConfirmationMismatchError,
        ConfirmationRequiredError,
        ConflictError,
        DecodingError,
        ErrorInfo,
        EvidenceError,
        IncompleteResetError,
        InvalidArgumentError,
        NotFoundError,
        NotSupportedError,
        OutcomeUnknownError,
        OverlappingPlanError,
        PermissionDeniedError,
        PlanMismatchError,
        ProofFailedError,
        RateLimitError,
        ReadOnlyError,
        RecordsDamagedError,
        RecordsError,
        RecordsLockedError,
        RecordsUnsafeError,
        RecordsUnwritableError,
        Remedy,
        ResetInterruptedError,
        ServerError,
        StalePlanError,
        TrainingError,
        UnconfirmedFormatError,
    )
    from training_sdk.format_proof.proof_plan import ProofPlan
    from training_sdk.format_proof.proofs import Proof
    from training_sdk.local_plans.event_plans import PlannedRequest, plan_of_event
    from training_sdk.outcome import Code, Outcome
    from training_sdk.plans.people import People
    from training_sdk.plans.people_file import Named
    from training_sdk.plans.plan import EveryonePlan, ResetPlan
    from training_sdk.plans.planned import Losses, Origin, PlannedCourse, PlannedReset
    from training_sdk.plans.selection import Where
    from training_sdk.reports.report import ResetReport, UserOutcome
    from training_sdk.reset_format import ResetFormat
    from training_sdk.resets.reset_request import Progress
    from training_sdk.resets.verification_result import (
        PersonSeen,
        Seen,
        SeenCode,
        Verification,
        VerificationCode,
        VerificationState,
    )
    from training_sdk.resets.waves import Waves
    from training_sdk.safeguards import Safeguards

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AlreadyAppliedError",
    "Approval",
    "ApprovalError",
    "Approver",
    "AssignmentResult",
    "AsyncListing",
    "AsyncTrainingClient",
    "AuthenticationError",
    "BadRequestError",
    "ClockError",
    "Code",
    "Collection",
    "CompletionStatus",
    "ConfirmationError",
    "ConfirmationMismatchError",
    "ConfirmationRequiredError",
    "ConflictError",
    "Course",
    "CourseStatistics",
    "CourseStatus",
    "DecodingError",
    "DueBy",
    "ErrorInfo",
    "EventActor",
    "EventFacts",
    "EventResource",
    "EveryonePlan",
    "EvidenceError",
    "FeedUser",
    "Group",
    "GroupMember",
    "IncompleteResetError",
    "InvalidArgumentError",
    "Leaderboard",
    "LeaderboardRankings",
    "LearningPath",
    "LearningPathDetail",
    "Lesson",
    "LessonAttempt",
    "LessonEvent",
    "LessonEventType",
    "LessonProgress",
    "LessonStatistics",
    "Listing",
    "Losses",
    "Me",
    "Named",
    "NotFoundError",
    "NotSupportedError",
    "Origin",
    "OriginalCourse",
    "Outcome",
    "OutcomeUnknownError",
    "OverlappingPlanError",
    "Page",
    "People",
    "PermissionDeniedError",
    "PermissionSet",
    "PermissionSetIdentifier",
    "PersonSeen",
    "PlanMismatchError",
    "PlannedCourse",
    "PlannedRequest",
    "PlannedReset",
    "Progress",
    "ProgressRow",
    "ProgressState",
    "ProgressTableRow",
    "Proof",
    "ProofFailedError",
    "ProofPlan",
    "Ranking",
    "RapidRefresh",
    "RapidRefreshAnswer",
    "RapidRefreshDetail",
    "RapidRefreshQuestion",
    "RateLimitError",
    "RawResponse",
    "ReadOnlyError",
    "RecordsDamagedError",
    "RecordsError",
    "RecordsLockedError",
    "RecordsUnsafeError",
    "RecordsUnwritableError",
    "Remedy",
    "ResetFormat",
    "ResetInterruptedError",
    "ResetPlan",
    "ResetReport",
    "Safeguards",
    "SeatType",
    "Seen",
    "SeenCode",
    "ServerError",
    "Site",
    "SiteMember",
    "SlideProgress",
    "SlideStatistics",
    "SlideType",
    "StalePlanError",
    "SurveyAnswer",
    "SurveyAnswerType",
    "SurveyQuestion",
    "TrainingClient",
    "TrainingError",
    "TriggerEvent",
    "UnconfirmedFormatError",
    "User",
    "UserOutcome",
    "UserStatus",
    "Verification",
    "VerificationCode",
    "VerificationState",
    "Waves",
    "Webhook",
    "WebhookEvent",
    "WebhookSecret",
    "Where",
    "__version__",
    "plan_of_event",
    "read_event",
]

# Each name is imported when it is first used, so that a program pays for the modules that it uses.
_MODULES = {
    name: module
    for module, _, names in (
        line.strip().partition(": ")
        for line in """
    _core.argument_checks: RawResponse
    _core.listing: Page
    _core.operation: AsyncListing Listing
    api.analytics: CourseStatistics LessonAttempt LessonEvent LessonEventType LessonProgress LessonStatistics
    api.analytics: SlideProgress SlideStatistics SlideType SurveyAnswer SurveyAnswerType SurveyQuestion
    api.courses: AssignmentResult Course CourseStatus DueBy Lesson OriginalCourse
    api.groups: Group GroupMember Site SiteMember
    api.leaderboards: Leaderboard LeaderboardRankings Ranking
    api.learning_paths: Collection LearningPath LearningPathDetail
    api.permissions: PermissionSet PermissionSetIdentifier
    api.progress: CompletionStatus ProgressRow ProgressState ProgressTableRow
    api.rapid_refreshes: RapidRefresh RapidRefreshAnswer RapidRefreshDetail RapidRefreshQuestion
    api.users: FeedUser Me SeatType User UserStatus
    api.webhooks: EventActor EventFacts EventResource TriggerEvent Webhook WebhookEvent WebhookSecret read_event
    approval.approvals: Approval Approver
    client: AsyncTrainingClient TrainingClient
    errors: AlreadyAppliedError APIConnectionError APIStatusError APITimeoutError ApprovalError
    errors: AuthenticationError BadRequestError ClockError ConfirmationError ConfirmationMismatchError
    errors: ConfirmationRequiredError ConflictError DecodingError ErrorInfo EvidenceError IncompleteResetError
    errors: InvalidArgumentError NotFoundError NotSupportedError OutcomeUnknownError OverlappingPlanError
    errors: PermissionDeniedError PlanMismatchError ProofFailedError RateLimitError ReadOnlyError
    errors: RecordsDamagedError RecordsError RecordsLockedError RecordsUnsafeError RecordsUnwritableError Remedy
    errors: ResetInterruptedError ServerError StalePlanError TrainingError UnconfirmedFormatError
    format_proof.proof_plan: ProofPlan
    format_proof.proofs: Proof
    local_plans.event_plans: PlannedRequest plan_of_event
    outcome: Code Outcome
    plans.people: People
    plans.people_file: Named
    plans.plan: EveryonePlan ResetPlan
    plans.planned: Losses Origin PlannedCourse PlannedReset
    plans.selection: Where
    reports.report: ResetReport UserOutcome
    reset_format: ResetFormat
    resets.reset_request: Progress
    resets.waves: Waves
    safeguards: Safeguards
    verification.verification_result: PersonSeen Seen SeenCode Verification VerificationCode VerificationState
    """.strip().splitlines()
    )
    for name in names.split()
}
_PACKAGES = {
    *(
        "api",
        "approval",
        "client",
        "client_options",
        "errors",
        "evidence",
        "format_proof",
        "local_plans",
        "plans",
    ),
    *("recertification", "records", "resets", "verification"),
}
"""Packages and modules that are attributes too: ``training_sdk.errors`` after ``import training_sdk`` alone."""


if not _typing.TYPE_CHECKING:  # else every name would be one of the package

    def __getattr__(name: str) -> _typing.Any:
        """Import a public name from its module, or a package."""
        if name in _PACKAGES:
            return _importlib.import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(_importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        return found


def __dir__() -> list[str]:
    """Return the names of this module, and the public ones that are not imported yet."""
    return sorted({*globals(), *__all__, *_PACKAGES})
