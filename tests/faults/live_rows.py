"""What only a live service does, as further rows of the table: played by the reference server, by name."""

from __future__ import annotations

from datetime import timedelta

from faults.ground import Ground
from faults.rows import ROWS, Said, again, row

_EARLIER = frozenset(ROWS)


@row
def refused_in_part(ground: Ground) -> list[Said]:
    """the service resets two people of each request and answers 404 for the third; then requests of one person"""
    ground.emulate("refuses_partway_404")
    return again(ground, ground.start(), resume={"per_request": 1})


@row
def refused_in_part_again(ground: Ground) -> list[Said]:
    """the same with 403, and the requests stay as they are"""
    ground.emulate("refuses_partway_403")
    return again(ground, ground.start())


@row
def rate_limited_in_part(ground: Ground) -> list[Said]:
    """the same with 429; then requests of one person"""
    ground.emulate("refuses_partway_429")
    return again(ground, ground.start(), resume={"per_request": 1})


@row
def strangers(ground: Ground) -> list[Said]:
    """with each request the service resets one more person of the course, and counts them; then it is resumed"""
    ground.emulate("resets_strangers")
    said = ground.start()
    listed = {(entry.course_id, user_id) for entry in ground.mock.audit for user_id in entry.user_ids}
    ground.by_others |= ground.truth().keys() - listed
    assert len(ground.by_others) == 1
    both = again(ground, said, first_stage=1)
    assert ground.at.door.resets == 1, "it went on"
    return both


@row
def queued(ground: Ground) -> list[Said]:
    """the service accepts requests with 202 and resets one person every 90 s; the feed lags by two hours"""
    ground.emulate("queues_resets", lag=timedelta(hours=2))
    return again(ground, ground.start())


@row
def queued_without_a_count(ground: Ground) -> list[Said]:
    """the same, and the answers are empty, where the proof saw a count"""
    ground.emulate("queues_resets", "answers_reset_empty", lag=timedelta(hours=2))
    return again(ground, ground.start(), times=7)


@row
def only_opened(ground: Ground) -> list[Said]:
    """the second request never arrives, one of its people looks into the course again, and `opened_at` follows"""
    ground.emulate("updates_opened_at")
    ground.mock.faults.add("drop", operation="ResetCourseProgress", after=1)
    said = ground.start()
    learner = ground.plan.targets_in(ground.plan.courses[0].id)[5].key
    ground.pass_time(60)
    ground.mock.world.open(*learner)
    ground.excused.add(learner)
    return again(ground, said)


@row
def no_count(ground: Ground) -> list[Said]:
    """resets are answered with 204, where the proof saw a count"""
    ground.emulate("answers_reset_204")
    return again(ground, ground.start(), times=7)


@row
def pages_capped(ground: Ground) -> list[Said]:
    """the service caps the size of pages and not their offsets"""
    ground.emulate("caps_page_size")
    return again(ground, ground.start())


@row
def feeds_end_early(ground: Ground) -> list[Said]:
    """the last page of the feed lacks a row, and says that one remains; later it is whole"""
    ground.emulate("ends_feeds_early")
    said = ground.start()
    ground.emulate()
    return again(ground, said)


@row
def lessons_missing(ground: Ground) -> list[Said]:
    """the lessons lack one that the feed counts as completed; then they are accepted so"""
    ground.emulate("omits_completed_lessons")
    said = ground.start()
    return [said, ground.start(order={"accept_missing_lessons": True})]


@row
def statistics_missing(ground: Ground) -> list[Said]:
    """the statistics lack the courses; later they have them"""
    ground.emulate("omits_course_statistics")
    said = ground.start()
    ground.emulate()
    return again(ground, said)


@row
def other_pages(ground: Ground) -> list[Said]:
    """the last page of a feed names itself, and the others name the next with a bare query"""
    ground.emulate("last_page_names_itself", "bare_query_next_page")
    return [ground.start()]


@row
def repeated_rows(ground: Ground) -> list[Said]:
    """a feed begins with an empty page, rows at borders come twice, and a bare query names the next page"""
    ground.emulate("begins_with_empty_page", "repeats_border_rows", "bare_query_next_page")
    return [ground.start()]


@row
def other_forms(ground: Ground) -> list[Said]:
    """answers in proto3 JSON, with "no date" in year 1, NaN, dates in lower case, and second 60"""
    forms = ("proto3", "no_date_year_1", "nan_as_text", "lower_case_dates", "second_60")
    ground.emulate(answers=forms)
    ground.make_plan()
    return [ground.start()]


LIVE = frozenset(ROWS) - _EARLIER
"""The rows that no reference server has."""
