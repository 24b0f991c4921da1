"""The demo world: Nordwerk Logistik, a haulier with five sites, and a second organisation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from attrs import evolve

from mock_server.policy import Policy
from mock_server.world import clock
from mock_server.world.courses import Course, CourseStatus, Due, DueKind, Lesson, LessonKind, SlideKind
from mock_server.world.people import Group, Permission, Person, Seat, Site, Status
from mock_server.world.progress import Record
from mock_server.world.seeds import demo_data as data
from mock_server.world.seeds.builder import CourseListRow, OrganisationBuilder, WorldBuilder
from mock_server.world.seeds.generate import past_record
from mock_server.world.world import Ids, World

_FOUNDED = datetime(2025, 11, 3, 8, tzinfo=UTC)
_ASSIGNED = datetime(2026, 2, 2, 7, 30, tzinfo=UTC)
_BEGUN = datetime(2026, 2, 16, 6, 15, tzinfo=UTC)
_EARLIER = datetime(2025, 11, 13, 7, 30, tzinfo=UTC)
"""Assignment of the courses of ``data.EARLIER``: people must renew them from November 2026 on."""
_DUES = (
    Due(),
    Due(DueKind.STATIC, at="2026-12-31T22:59:59.000Z"),
    Due(DueKind.RELATIVE, days=60),
)
_SPECIAL: dict[str, dict[str, Any]] = {
    "quiet": {"notifications": False},
    "lite": {"seat": Seat.LITE},
    "guest": {"seat": Seat.GUEST},
    "deactivated": {"status": Status.DEACTIVATED},
}


def build_demo(now: datetime | None = None) -> WorldBuilder:
    """Return the demo world, always the same; its clock runs in real time unless ``now`` freezes it."""
    builder = WorldBuilder(seed="demo", now=now, since=_FOUNDED)
    nordwerk = _Nordwerk(builder)
    nordwerk.forklift()
    for number, row in enumerate(data.COURSES):
        nordwerk.course(number, *row)
    nordwerk.course_lists()
    nordwerk.rapid_refresh()
    nordwerk.contest()
    nordwerk.tokens(builder)
    _neighbour(builder)
    nordwerk.describe_sites()
    return builder


@cache
def demo_prototype() -> tuple[World, dict[str, str]]:
    """Return the demo world, built once, and its tokens by name. Copy it; never use it itself."""
    builder = build_demo()
    return builder.build(Policy(), World), builder.tokens


class _Nordwerk:
    """Builder of the main organisation."""

    def __init__(self, builder: WorldBuilder) -> None:
        self.ids: Ids = builder.ids
        self.org: OrganisationBuilder = builder.organisation("Nordwerk Logistik")
        self.sites = self._sites()
        self.groups: dict[str, Group] = {}
        self.people = [self._person(*line.split("|")) for line in data.PEOPLE.strip().splitlines()]
        self.by_name = {person.name: person for person in self.people}

    def _sites(self) -> dict[str, Site]:
        found: dict[str, Site] = {}
        for country, places in data.SITES.items():
            parent = self.org.site(country)
            found |= {place: self.org.site(place, parent) for place in places}
        return found

    def _group(self, name: str) -> Group:
        if name not in self.groups:
            self.groups[name] = self.org.group(name)
        return self.groups[name]

    def _person(self, name: str, site: str, groups: str, special: str = "") -> Person:
        first, _, last = name.strip().partition(" ")
        extra: dict[str, Any] = {}
        for word in special.split():
            extra |= _SPECIAL[word]
        number = len(self.org.organisation.people) + 1001
        names = [group.strip() for group in groups.split(",") if group.strip()]
        british = site.strip() == "Leeds"
        return self.org.person(
            first,
            last,
            f"{_ascii(first)}.{_ascii(last)}@nordwerk.example",
            external_id=f"NW-{number}",
            groups=[self._group(group) for group in names],
            sites=[self.sites[site.strip()]],
            timezone="Europe/London" if british else "Europe/Berlin",
            locale="en-GB" if british else "de-DE",
            last_seen_at=clock.to_text(_BEGUN + timedelta(days=number % 40)) if number % 6 else "",
            permission_sets=[self.org.permission_sets["Guest" if "guest" in special else "Standard"]],
            **extra,
        )

    def forklift(self) -> None:
        """Add the main demo course: 37 people with recorded progress, some not started."""
        lessons = [self._lesson(*line.split("|")) for line in data.FORKLIFT_LESSONS.strip().splitlines()]
        slides = [
            self.org.slide(title, SlideKind(kind), *options) for title, kind, *options in data.FORKLIFT_SLIDES
        ]
        lessons[0] = evolve(lessons[0], slides=tuple(slides))
        course = self.org.course(
            "Forklift basics",
            created=_FOUNDED,
            modified_at=clock.to_text(_ASSIGNED),
            lessons=lessons,
            external_id="NW-FL-1",
            description="Driving, stacking and parking counterbalance trucks safely.",
            is_mandatory=True,
            due=_DUES[2],
            duration=5400,
            certificate=True,
            published_version=3,
        )
        self.org.assign(course, groups=[self.groups["Lager"]], at=_ASSIGNED)
        learners = [p for p in self.people if self.groups["Lager"].id in p.groups]
        active = [p for p in learners if p.can_learn]
        for number, (person, state) in enumerate(zip(active, data.FORKLIFT, strict=False)):
            self.org.record(course.id, person.id, self._state(course, state, number))
        # People who left have progress too; it must neither count nor show.
        for number, person in enumerate(p for p in learners if not p.can_learn):
            self.org.record(course.id, person.id, self._state(course, "C", number))

    def _lesson(self, title: str, kind: str, minimum: str = "0") -> Lesson:
        return self.org.lesson(
            title.strip(), _FOUNDED, kind=LessonKind(kind.strip()), minimum_score=int(minimum)
        )

    def _state(self, course: Course, state: str, number: int) -> Record:
        start = _BEGUN + timedelta(days=number % 29, minutes=17 * number)
        score = 80 + 7 * number % 21
        all_lessons = course.lessons
        talk, paper = all_lessons[4], all_lessons[5]
        match state:
            case "C":
                return past_record(self.ids, course, start, all_lessons, score=score)
            case "H":
                return past_record(self.ids, course, start, all_lessons[:3], score=score)
            case "S":
                return past_record(
                    self.ids, course, start, all_lessons[:3], score=score, touched=all_lessons[3:4]
                )
            case "D":
                return past_record(self.ids, course, start, touched=[talk])
            case "A":
                return past_record(self.ids, course, start, [paper], score=0)
            case _:
                return past_record(self.ids, course, start)

    def course(
        self,
        number: int,
        title: str,
        status: str,
        lessons: int,
        settings: dict[str, Any],
        assigned: tuple[str, str],
        begun: int,
    ) -> None:
        """Add another course; ``begun`` tenths of its learners have started or completed it."""
        made = self.org.course(
            title,
            created=_FOUNDED + timedelta(days=3 + number),
            lessons=lessons,
            external_id=f"NW-{number + 20}",
            status=CourseStatus(status),
            due=_DUES[number % 3],
            duration=900 * lessons,
            published_version=0 if status == "Draft" else 1,
            **settings,
        )
        earlier = title in data.EARLIER
        at, begun_at = (_EARLIER, _EARLIER) if earlier else (_ASSIGNED, _BEGUN + timedelta(days=5 * number))
        self.org.assign(made, **self._to(assigned), at=at)
        assigned_to = self.org.organisation.assigned[made.id]
        learners = [person for person in self.people if assigned_to.since(person) is not None]
        for place, person in enumerate(learners):
            if 10 * place < begun * len(learners):
                done = lessons if place % 3 != 2 else lessons // 2
                start = begun_at + timedelta(days=place, minutes=11 * place)
                score = 70 + (place * 13 + number) % 31
                record = past_record(self.ids, made, start, made.lessons[:done], score=score)
                self.org.record(made.id, person.id, record)

    def _to(self, assigned: tuple[str, str]) -> dict[str, Any]:
        kind, name = assigned
        if kind == "everyone":
            return {"everyone": True}
        return {"groups": [self.groups[name]]} if kind == "group" else {"sites": [self.sites[name]]}

    def course_lists(self) -> None:
        """Add learning paths and collections."""

        def rows(listed: data.CourseLists) -> list[CourseListRow]:
            return [
                (title, self._titled(titles), {"published": published, **self._to(assigned)})
                for title, titles, assigned, published in listed
            ]

        self.org.lists(rows(data.PATHS), rows(data.COLLECTIONS))

    def contest(self) -> None:
        """Add a contest in two courses."""
        title, titles, start, end = data.CONTEST
        self.org.lists(contest=(title, self._titled(titles), start, end))

    def _titled(self, titles: Iterable[str]) -> list[Course]:
        by_title = {course.title: course for course in self.org.organisation.courses.values()}
        return [by_title[each] for each in titles]

    def rapid_refresh(self) -> None:
        """Add a quiz for the warehouse, with the answers of three people."""
        made = self.org.rapid_refresh(*data.REFRESH, groups=[self.groups["Lager"]])
        for number, (name, answers) in enumerate(data.REFRESH_ANSWERS):
            for answer in answers:
                self.org.refresh_answer(made, self.by_name[name], answer, _BEGUN + timedelta(hours=number))

    def tokens(self, builder: WorldBuilder) -> None:
        """Give the owners of tokens their rights."""
        trainer = self.org.permission_set("Training manager", "Runs training.", [Permission.TRAINING])
        resetter = self.org.permission_set("User manager", "Looks after users.", [Permission.USERS])
        sets = self.org.permission_sets
        admin = self.org.change(self.by_name["Katrin Sørensen"], permission_sets=[sets["Administrator"]])
        builder.token("admin", admin)
        builder.token("manager", self.org.change(self.by_name["Jürgen Weiß"], permission_sets=[trainer]))
        builder.token("resetter", self.org.change(self.by_name["Björn Ångström"], permission_sets=[resetter]))
        lead = self.org.change(
            self.by_name["Maeve O'Brien"],
            permission_sets=[sets["Manager"]],
            managed_sites=[self.sites["Leeds"]],
            managed_groups=[self.groups["Schichtleitung"]],
        )
        builder.token("teamlead", lead)
        builder.token("learner", self.by_name["Anna Özdemir"])
        builder.token("revoked", admin, revoked=True)
        builder.token("expired", admin, expires_at=_BEGUN)

    def describe_sites(self) -> None:
        """Add a deleted site, and set creator and kind of every site."""
        sites = self.org.organisation.sites
        self.org.site("Bremerhaven", next(iter(sites.values())), deleted=True)
        creator = self.by_name["Katrin Sørensen"].id
        for site in list(sites.values()):
            label = "location" if site.parent_id else "country"
            sites[site.id] = evolve(site, creator_id=creator, meta_label=label)


def _neighbour(builder: WorldBuilder) -> None:
    """Add a second organisation with the same course titles, which the first must never see."""
    org = builder.organisation("Nordwerk Logistics Ltd")
    depot = org.site("Leeds")
    outsider = org.person(
        "Rosalind",
        "Fairweather",
        "rosalind.fairweather@nordwerk-ltd.example",
        sites=[depot],
        permission_sets=[org.permission_sets["Administrator"]],
    )
    anna = org.person("Anna", "Özdemir", "anna.oezdemir@nordwerk-ltd.example", sites=[depot])
    course = org.course("Forklift basics", lessons=3, certificate=True)
    protection = org.course("Data protection in 20 minutes", lessons=1)
    org.path("Warehouse induction", [course, protection], sites=[depot])
    org.collection("Safety at work", [course], everyone=True)
    org.assign(course, sites=[depot], at=_ASSIGNED)
    for person in (outsider, anna):
        record = past_record(builder.ids, course, _BEGUN, course.lessons)
        org.record(course.id, person.id, record)
    builder.token("outsider", outsider)


_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ö": "Oe", "ß": "ss", "ø": "o", "Å": "a", "å": "a", "ł": "l", "ó": "o",
     "ı": "i", "é": "e", "á": "a", "ń": "n", "ř": "r", "Ş": "s", "ễ": "e", "ị": "i", "Đ": "d", "đ": "d",
     "ć": "c", " ": "-", "'": ""}
)  # fmt: skip


def _ascii(name: str) -> str:
    return name.translate(_LETTERS).lower()
