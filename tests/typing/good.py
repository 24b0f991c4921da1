"""What a type checker must make of every operation on both clients; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import httpx
import polars as pl

from training_sdk import (
    APIStatusError,
    Approval,
    AssignmentResult,
    AsyncListing,
    AsyncTrainingClient,
    Collection,
    CompletionStatus,
    Course,
    CourseStatistics,
    CourseStatus,
    EveryonePlan,
    FeedUser,
    Group,
    GroupMember,
    Leaderboard,
    LeaderboardRankings,
    LearningPath,
    LearningPathDetail,
    Lesson,
    LessonAttempt,
    LessonEvent,
    LessonProgress,
    LessonStatistics,
    Listing,
    Me,
    Page,
    People,
    PermissionSet,
    ProgressRow,
    ProgressTableRow,
    Proof,
    ProofPlan,
    RapidRefresh,
    RapidRefreshAnswer,
    RapidRefreshDetail,
    RawResponse,
    ResetFormat,
    ResetPlan,
    ResetReport,
    SeatType,
    Site,
    SiteMember,
    SlideProgress,
    SlideStatistics,
    SurveyAnswer,
    SurveyQuestion,
    TrainingClient,
    TrainingError,
    TriggerEvent,
    User,
    UserStatus,
    Verification,
    Waves,
    Webhook,
    WebhookSecret,
    Where,
)
from training_sdk.recertification import Due

WHERE = Where(score_below=80)


def sync(client: TrainingClient, plan: ResetPlan, due: Due) -> None:
    assert_type(client.users.me(), Me)
    assert_type(
        client.users.list(ids=["u"], statuses=[UserStatus.ACTIVE], seat_types=[SeatType.LITE]), Listing[User]
    )
    assert_type(client.courses.list(search="x", ids=("c",)), Listing[Course])
    assert_type(client.progress.table(courses=["c"], sites=True, groups=True), Listing[ProgressTableRow])
    assert_type(client.courses.list().to_dicts(extra_fields=True), Iterator[dict[str, Any]])
    assert_type(client.courses.list().to_parquet("out", partition_by="id"), int)
    assert_type(client.courses.list().to_polars(), pl.DataFrame)
    assert_type(client.courses.list().__arrow_c_stream__(), object)
    assert_type(client.courses.get("c"), Course)
    assert_type(client.courses.lessons("c"), tuple[Lesson, ...])
    assert_type(client.courses.lesson(lesson_id="l"), Lesson)
    assert_type(client.courses.update_assignments("c", add_users=["u"]), AssignmentResult)
    assert_type(
        client.progress.list(status=CompletionStatus.ALL, modified_after=datetime.now(UTC)),
        Listing[ProgressRow],
    )
    assert_type(client.analytics.course_statistics(course_ids={"c"}), Listing[CourseStatistics])
    assert_type(client.analytics.lesson_progress("u", course_id="c"), Listing[LessonProgress])
    assert_type(client.analytics.attempts(course_id="c", user_id="u"), Listing[LessonAttempt])
    assert_type(client.analytics.lesson_statistics(course_id="c"), Listing[LessonStatistics])
    assert_type(client.analytics.lesson_events(course_id="c", user_id="u"), Listing[LessonEvent])
    assert_type(client.analytics.user_lesson_events("u", course_id="c"), Listing[LessonEvent])
    assert_type(client.analytics.slide_statistics(course_id="c"), Listing[SlideStatistics])
    assert_type(client.analytics.user_slides("u", course_id="c"), Listing[SlideProgress])
    assert_type(client.analytics.survey_questions(course_id="c"), Listing[SurveyQuestion])
    assert_type(client.analytics.survey_answers(course_id="c", user_id="u"), Listing[SurveyAnswer])
    assert_type(client.analytics.rapid_refresh_answers(user_id="u"), Listing[RapidRefreshAnswer])
    assert_type(client.users.feed(), Listing[FeedUser])
    assert_type(client.rapid_refreshes.list(), Listing[RapidRefresh])
    assert_type(client.rapid_refreshes.get("r"), RapidRefreshDetail)
    assert_type(client.leaderboards.list(), Listing[Leaderboard])
    assert_type(client.leaderboards.rankings("l"), LeaderboardRankings)
    assert_type(client.webhooks.list(), Listing[Webhook])
    assert_type(client.webhooks.get("w"), Webhook)
    assert_type(client.webhooks.create("https://x", events=[TriggerEvent.COURSE_RESET, "OTHER"]), Webhook)
    assert_type(client.webhooks.delete("w"), None)
    assert_type(client.webhooks.secret(), WebhookSecret)
    assert_type(client.webhooks.renew_secret(), WebhookSecret)
    assert_type(client.permissions.list(), Listing[PermissionSet])
    assert_type(client.paths.list(), Listing[LearningPath])
    assert_type(client.paths.get("p"), LearningPathDetail)
    assert_type(client.collections.list(), Listing[Collection])
    assert_type(client.collections.courses("c"), Listing[Course])
    assert_type(client.groups.list(), Listing[Group])
    assert_type(client.groups.members(group_ids=["g"]), Listing[GroupMember])
    assert_type(client.sites.list(), Listing[Site])
    assert_type(client.sites.members(site_ids={"s"}), Listing[SiteMember])
    assert_type(client.resets.plan("c", users=["u"], only="completed"), ResetPlan)
    assert_type(client.resets.plan_everyone("c", only=None), EveryonePlan)
    assert_type(client.resets.plan(["c", "d"], People.of(["a@example.test"]), where=WHERE), ResetPlan)
    assert_type(client.resets.plan([], users=["u"], paths=["p"]), ResetPlan)
    assert_type(client.resets.plan_due(due), ResetPlan)
    assert_type(client.resets.approve(plan, confirm="typed", key="id_ed25519"), Approval)
    assert_type(client.resets.apply(plan, confirm="typed", reason="why", ticket="T-1"), ResetReport)
    assert_type(client.resets.apply(plan, confirm="typed", waves=Waves(size=10), tolerance=1), ResetReport)
    assert_type(client.resets.resume(plan, confirm="typed", stop=lambda: False), ResetReport)
    proof_plan = assert_type(client.resets.plan_proof("c1", "ann@example.test"), ProofPlan)
    assert_type(client.resets.plan_proof("c1", "ann@example.test", refused_with="user_1"), ProofPlan)
    assert_type(client.resets.prove_format(proof_plan, confirm="typed", reason="why"), Proof)
    assert_type(client.resets.wait_until_verified("0" * 64, every=timedelta(minutes=1)), Verification)
    assert_type(client.request("GET", "/x", params={"a": 1}), RawResponse)


def asynchronous(
    client: AsyncTrainingClient, plan: ResetPlan, due: Due, proof: ProofPlan, report: ResetReport
) -> list[object]:
    return [
        assert_type(client.users.me(), Coroutine[Any, Any, Me]),
        assert_type(client.users.list(usernames=["u"]), AsyncListing[User]),
        assert_type(client.courses.list(), AsyncListing[Course]),
        assert_type(client.courses.get(course_id="c"), Coroutine[Any, Any, Course]),
        assert_type(client.courses.lessons("c"), Coroutine[Any, Any, tuple[Lesson, ...]]),
        assert_type(client.courses.lesson("l"), Coroutine[Any, Any, Lesson]),
        assert_type(
            client.courses.update_assignments("c", add_sites=["s"]), Coroutine[Any, Any, AssignmentResult]
        ),
        assert_type(client.progress.list(course_id="c", user_id="u"), AsyncListing[ProgressRow]),
        assert_type(client.analytics.course_statistics(), AsyncListing[CourseStatistics]),
        assert_type(client.analytics.lesson_progress("u"), AsyncListing[LessonProgress]),
        assert_type(client.analytics.attempts(), AsyncListing[LessonAttempt]),
        assert_type(client.analytics.lesson_statistics(), AsyncListing[LessonStatistics]),
        assert_type(client.analytics.lesson_events(), AsyncListing[LessonEvent]),
        assert_type(client.analytics.user_lesson_events("u"), AsyncListing[LessonEvent]),
        assert_type(client.analytics.slide_statistics(), AsyncListing[SlideStatistics]),
        assert_type(client.analytics.user_slides("u"), AsyncListing[SlideProgress]),
        assert_type(client.analytics.survey_questions(), AsyncListing[SurveyQuestion]),
        assert_type(client.analytics.survey_answers(), AsyncListing[SurveyAnswer]),
        assert_type(client.analytics.rapid_refresh_answers(), AsyncListing[RapidRefreshAnswer]),
        assert_type(client.users.feed(), AsyncListing[FeedUser]),
        assert_type(client.rapid_refreshes.list(), AsyncListing[RapidRefresh]),
        assert_type(client.rapid_refreshes.get("r"), Coroutine[Any, Any, RapidRefreshDetail]),
        assert_type(client.leaderboards.list(), AsyncListing[Leaderboard]),
        assert_type(client.leaderboards.rankings("l"), Coroutine[Any, Any, LeaderboardRankings]),
        assert_type(client.webhooks.list(), AsyncListing[Webhook]),
        assert_type(client.webhooks.get("w"), Coroutine[Any, Any, Webhook]),
        assert_type(client.webhooks.create("https://x", events=("E",)), Coroutine[Any, Any, Webhook]),
        assert_type(client.webhooks.delete("w"), Coroutine[Any, Any, None]),
        assert_type(client.webhooks.secret(), Coroutine[Any, Any, WebhookSecret]),
        assert_type(client.webhooks.renew_secret(), Coroutine[Any, Any, WebhookSecret]),
        assert_type(client.permissions.list(search="x"), AsyncListing[PermissionSet]),
        assert_type(client.paths.list(), AsyncListing[LearningPath]),
        assert_type(client.paths.get(path_id="p"), Coroutine[Any, Any, LearningPathDetail]),
        assert_type(client.collections.list(), AsyncListing[Collection]),
        assert_type(client.collections.courses(collection_id="c"), AsyncListing[Course]),
        assert_type(client.groups.list(), AsyncListing[Group]),
        assert_type(client.groups.members(), AsyncListing[GroupMember]),
        assert_type(client.sites.list(), AsyncListing[Site]),
        assert_type(client.sites.members(), AsyncListing[SiteMember]),
        assert_type(client.resets.plan("c", users=["u"]), Coroutine[Any, Any, ResetPlan]),
        assert_type(client.resets.plan_everyone("c"), Coroutine[Any, Any, EveryonePlan]),
        assert_type(client.resets.plan_due(due), Coroutine[Any, Any, ResetPlan]),
        assert_type(client.resets.approve(plan, confirm="typed"), Coroutine[Any, Any, Approval]),
        assert_type(client.resets.resume(plan, confirm="typed"), Coroutine[Any, Any, ResetReport]),
        assert_type(client.resets.plan_proof("c", server_side=True), Coroutine[Any, Any, ProofPlan]),
        assert_type(
            client.resets.prove_format(proof, confirm="typed", reason="why"), Coroutine[Any, Any, Proof]
        ),
        assert_type(client.resets.wait_until_verified(report), Coroutine[Any, Any, Verification]),
        assert_type(
            client.resets.apply(plan, confirm="typed", server_side=True), Coroutine[Any, Any, ResetReport]
        ),
        assert_type(client.request("GET", "/x"), Coroutine[Any, Any, RawResponse]),
    ]


async def awaited(client: AsyncTrainingClient) -> None:
    assert_type(client.progress.table(), AsyncListing[ProgressTableRow])
    assert_type(client.courses.list().to_dicts(), AsyncIterator[dict[str, Any]])
    assert_type(await client.courses.list().to_parquet("out", extra_fields=True), int)
    assert_type(await client.courses.list().to_polars(), pl.DataFrame)
    assert_type(await client.courses.get("c"), Course)
    assert_type(await client.resets.plan_everyone("c"), EveryonePlan)
    async for row in client.progress.list():
        assert_type(row, ProgressRow)
    async for page in client.courses.list().pages():
        assert_type(page, Page[Course])
    assert_type(aiter(client.users.list()), AsyncIterator[User])


def iterated(client: TrainingClient) -> None:
    for row in client.progress.list():
        assert_type(row, ProgressRow)
        assert_type(row.completed_at, datetime | None)
    for page in client.courses.list().pages():
        assert_type(page, Page[Course])
        assert_type(page.items, tuple[Course, ...])
        assert_type(page.total, int | None)
    assert_type(iter(client.users.list()), Iterator[User])
    assert_type(client.courses.get("c").status, CourseStatus | None)


def made() -> None:
    with TrainingClient("t", timeout=1, max_retry_seconds=0, reset_format=ResetFormat()) as client:
        assert_type(client, TrainingClient)
        assert_type(client.with_options(timeout=1), TrainingClient)
        assert_type(client.with_options(read_only=True, pace=False), TrainingClient)
    TrainingClient("t", read_only=True, pace=None)
    TrainingClient(lambda: "t", http_client=httpx.Client())


async def made_async() -> None:
    async def token() -> str:
        return "t"

    async with AsyncTrainingClient(token, http_client=httpx.AsyncClient()) as client:
        assert_type(client, AsyncTrainingClient)
        assert_type(client.with_options(token=lambda: "t"), AsyncTrainingClient)
        assert_type(client.with_options(read_only=True, pace=True), AsyncTrainingClient)
    AsyncTrainingClient("t", read_only=False, pace=True)


def erred(error: TrainingError, refused: APIStatusError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.reason, str | None)
    assert_type(error.message, str)
    assert_type(error.request_id, str | None)
    assert_type(refused.report, ResetReport | None)
