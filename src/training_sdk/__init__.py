"""Unofficial typed SDK for SafetyCulture Training: courses, progress, and resets that cannot go wrong quietly."""

import importlib as _importlib
import typing as _typing

from training_sdk import _moved as _moved  # first: old module names are importable from here on
from training_sdk._version import __version__ as __version__

# The public names. Each is imported when it is first used, so that a program pays for the modules that it uses.
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
    format_proof.proofs: Proof ProofPlan
    local_plans.event_plans: PlannedRequest plan_of_event
    outcome: Code Outcome
    plans.people: People Where
    plans.people_file: Named
    plans.plan: EveryonePlan ResetPlan
    plans.planned: Losses Origin PlannedCourse PlannedReset
    reports.report: ResetReport UserOutcome
    resets.reset_request: Progress
    resets.verification_result: PersonSeen Seen SeenCode Verification VerificationCode VerificationState
    resets.waves: Waves
    safeguards: ResetFormat Safeguards
    """.strip().splitlines()
    )
    for name in names.split()
}
_PACKAGES = {
    *("api", "approval", "client", "client_options", "errors", "evidence", "format_proof", "local_plans"),
    *("plans", "recertification", "records", "resets", "verification"),
}
"""Packages and modules that are attributes too: ``training_sdk.errors`` after ``import training_sdk`` alone."""


if _typing.TYPE_CHECKING:
    from training_sdk._core.argument_checks import RawResponse as RawResponse
    from training_sdk._core.listing import Page as Page
    from training_sdk._core.operation import AsyncListing as AsyncListing
    from training_sdk._core.operation import Listing as Listing
    from training_sdk.api.analytics import CourseStatistics as CourseStatistics
    from training_sdk.api.analytics import LessonAttempt as LessonAttempt
    from training_sdk.api.analytics import LessonEvent as LessonEvent
    from training_sdk.api.analytics import LessonEventType as LessonEventType
    from training_sdk.api.analytics import LessonProgress as LessonProgress
    from training_sdk.api.analytics import LessonStatistics as LessonStatistics
    from training_sdk.api.analytics import SlideProgress as SlideProgress
    from training_sdk.api.analytics import SlideStatistics as SlideStatistics
    from training_sdk.api.analytics import SlideType as SlideType
    from training_sdk.api.analytics import SurveyAnswer as SurveyAnswer
    from training_sdk.api.analytics import SurveyAnswerType as SurveyAnswerType
    from training_sdk.api.analytics import SurveyQuestion as SurveyQuestion
    from training_sdk.api.courses import AssignmentResult as AssignmentResult
    from training_sdk.api.courses import Course as Course
    from training_sdk.api.courses import CourseStatus as CourseStatus
    from training_sdk.api.courses import DueBy as DueBy
    from training_sdk.api.courses import Lesson as Lesson
    from training_sdk.api.courses import OriginalCourse as OriginalCourse
    from training_sdk.api.groups import Group as Group
    from training_sdk.api.groups import GroupMember as GroupMember
    from training_sdk.api.groups import Site as Site
    from training_sdk.api.groups import SiteMember as SiteMember
    from training_sdk.api.leaderboards import Leaderboard as Leaderboard
    from training_sdk.api.leaderboards import LeaderboardRankings as LeaderboardRankings
    from training_sdk.api.leaderboards import Ranking as Ranking
    from training_sdk.api.learning_paths import Collection as Collection
    from training_sdk.api.learning_paths import LearningPath as LearningPath
    from training_sdk.api.learning_paths import LearningPathDetail as LearningPathDetail
    from training_sdk.api.permissions import PermissionSet as PermissionSet
    from training_sdk.api.permissions import PermissionSetIdentifier as PermissionSetIdentifier
    from training_sdk.api.progress import CompletionStatus as CompletionStatus
    from training_sdk.api.progress import ProgressRow as ProgressRow
    from training_sdk.api.progress import ProgressState as ProgressState
    from training_sdk.api.progress import ProgressTableRow as ProgressTableRow
    from training_sdk.api.rapid_refreshes import RapidRefresh as RapidRefresh
    from training_sdk.api.rapid_refreshes import RapidRefreshAnswer as RapidRefreshAnswer
    from training_sdk.api.rapid_refreshes import RapidRefreshDetail as RapidRefreshDetail
    from training_sdk.api.rapid_refreshes import RapidRefreshQuestion as RapidRefreshQuestion
    from training_sdk.api.users import FeedUser as FeedUser
    from training_sdk.api.users import Me as Me
    from training_sdk.api.users import SeatType as SeatType
    from training_sdk.api.users import User as User
    from training_sdk.api.users import UserStatus as UserStatus
    from training_sdk.api.webhooks import EventActor as EventActor
    from training_sdk.api.webhooks import EventFacts as EventFacts
    from training_sdk.api.webhooks import EventResource as EventResource
    from training_sdk.api.webhooks import TriggerEvent as TriggerEvent
    from training_sdk.api.webhooks import Webhook as Webhook
    from training_sdk.api.webhooks import WebhookEvent as WebhookEvent
    from training_sdk.api.webhooks import WebhookSecret as WebhookSecret
    from training_sdk.api.webhooks import read_event as read_event
    from training_sdk.approval.approvals import Approval as Approval
    from training_sdk.approval.approvals import Approver as Approver
    from training_sdk.client import AsyncTrainingClient as AsyncTrainingClient
    from training_sdk.client import TrainingClient as TrainingClient
    from training_sdk.errors import AlreadyAppliedError as AlreadyAppliedError
    from training_sdk.errors import APIConnectionError as APIConnectionError
    from training_sdk.errors import APIStatusError as APIStatusError
    from training_sdk.errors import APITimeoutError as APITimeoutError
    from training_sdk.errors import ApprovalError as ApprovalError
    from training_sdk.errors import AuthenticationError as AuthenticationError
    from training_sdk.errors import BadRequestError as BadRequestError
    from training_sdk.errors import ClockError as ClockError
    from training_sdk.errors import ConfirmationError as ConfirmationError
    from training_sdk.errors import ConfirmationMismatchError as ConfirmationMismatchError
    from training_sdk.errors import ConfirmationRequiredError as ConfirmationRequiredError
    from training_sdk.errors import ConflictError as ConflictError
    from training_sdk.errors import DecodingError as DecodingError
    from training_sdk.errors import ErrorInfo as ErrorInfo
    from training_sdk.errors import EvidenceError as EvidenceError
    from training_sdk.errors import IncompleteResetError as IncompleteResetError
    from training_sdk.errors import InvalidArgumentError as InvalidArgumentError
    from training_sdk.errors import NotFoundError as NotFoundError
    from training_sdk.errors import NotSupportedError as NotSupportedError
    from training_sdk.errors import OutcomeUnknownError as OutcomeUnknownError
    from training_sdk.errors import OverlappingPlanError as OverlappingPlanError
    from training_sdk.errors import PermissionDeniedError as PermissionDeniedError
    from training_sdk.errors import PlanMismatchError as PlanMismatchError
    from training_sdk.errors import ProofFailedError as ProofFailedError
    from training_sdk.errors import RateLimitError as RateLimitError
    from training_sdk.errors import ReadOnlyError as ReadOnlyError
    from training_sdk.errors import RecordsDamagedError as RecordsDamagedError
    from training_sdk.errors import RecordsError as RecordsError
    from training_sdk.errors import RecordsLockedError as RecordsLockedError
    from training_sdk.errors import RecordsUnsafeError as RecordsUnsafeError
    from training_sdk.errors import RecordsUnwritableError as RecordsUnwritableError
    from training_sdk.errors import Remedy as Remedy
    from training_sdk.errors import ResetInterruptedError as ResetInterruptedError
    from training_sdk.errors import ServerError as ServerError
    from training_sdk.errors import StalePlanError as StalePlanError
    from training_sdk.errors import TrainingError as TrainingError
    from training_sdk.errors import UnconfirmedFormatError as UnconfirmedFormatError
    from training_sdk.format_proof.proofs import Proof as Proof
    from training_sdk.format_proof.proofs import ProofPlan as ProofPlan
    from training_sdk.local_plans.event_plans import PlannedRequest as PlannedRequest
    from training_sdk.local_plans.event_plans import plan_of_event as plan_of_event
    from training_sdk.outcome import Code as Code
    from training_sdk.outcome import Outcome as Outcome
    from training_sdk.plans.people import People as People
    from training_sdk.plans.people import Where as Where
    from training_sdk.plans.people_file import Named as Named
    from training_sdk.plans.plan import EveryonePlan as EveryonePlan
    from training_sdk.plans.plan import ResetPlan as ResetPlan
    from training_sdk.plans.planned import Losses as Losses
    from training_sdk.plans.planned import Origin as Origin
    from training_sdk.plans.planned import PlannedCourse as PlannedCourse
    from training_sdk.plans.planned import PlannedReset as PlannedReset
    from training_sdk.reports.report import ResetReport as ResetReport
    from training_sdk.reports.report import UserOutcome as UserOutcome
    from training_sdk.resets.reset_request import Progress as Progress
    from training_sdk.resets.verification_result import PersonSeen as PersonSeen
    from training_sdk.resets.verification_result import Seen as Seen
    from training_sdk.resets.verification_result import SeenCode as SeenCode
    from training_sdk.resets.verification_result import Verification as Verification
    from training_sdk.resets.verification_result import VerificationCode as VerificationCode
    from training_sdk.resets.verification_result import VerificationState as VerificationState
    from training_sdk.resets.waves import Waves as Waves
    from training_sdk.safeguards import ResetFormat as ResetFormat
    from training_sdk.safeguards import Safeguards as Safeguards
else:  # a type checker would take every name for one of the package
    __all__ = sorted([*_MODULES, "__version__"])

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
