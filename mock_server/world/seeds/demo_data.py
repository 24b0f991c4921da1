"""People and courses of Nordwerk Logistik, as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

PEOPLE = """
Anna Özdemir | Hamburg | Lager
Katrin Sørensen | Hamburg | Büro
Jürgen Weiß | Hamburg | Büro
Björn Ångström | Hamburg | Büro
Maeve O'Brien | Leeds | Lager, Schichtleitung
Jonas Krüger | Hamburg | Lager, Schichtleitung
Torben Lüdemann | Hamburg | Lager | quiet
Fatma Yıldız | Hamburg | Lager
Hinnerk Petersen | Hamburg | Lager, Fahrer
Sönke Brüggemann | Hamburg | Lager | lite
Małgorzata Wójcik | Hamburg | Lager
Inga Thießen | Hamburg | Lager | quiet
Kofi Mensah | Hamburg | Lager
Ole Jörgensen | Hamburg | Lager | lite quiet
Levke Matthiesen | Hamburg | Lager
Serkan Aydın | Hamburg | Lager, Fahrer
Birte Großmann | Hamburg | Lager
Maximilian Huber | München | Lager
Theresa Gößwein | München | Lager
Korbinian Schäfer | München | Lager | quiet
Zsófia Nagy | München | Lager
Xaver Ödinger | München | Lager, Fahrer
Veronika Rößler | München | Lager
Luca Bianchi | München | Lager | lite
Magdalena Prüfer | München | Lager
Emeka Okafor | München | Lager | quiet
Franziska Lößl | München | Lager, Schichtleitung
Reto Bühler | Zürich | Lager
Noémie Dürrenmatt | Zürich | Lager
Urs Zgraggen | Zürich | Lager | lite
Chiara Läubli | Zürich | Lager
Beat Hürlimann | Zürich | Lager | quiet
Oliver Whitfield | Leeds | Lager
Priya Raghunathan | Leeds | Lager
Siobhán Doyle | Leeds | Lager | quiet
Callum Hargreaves | Leeds | Lager, Fahrer
Zofia Kamińska | Leeds | Lager
Harriet Ashworth | Leeds | Lager | lite
Tariq Mahmood | Leeds | Lager
Gethin Llewellyn | Leeds | Lager | quiet
Beatrix Thornbury | Leeds | Lager
Dominik Schröter | Leipzig | Lager
Anke Mühlberg | Leipzig | Lager
Václav Dvořák | Leipzig | Lager | quiet
Renate Fröhlich | Hamburg | Lager | deactivated
Dieter Kößling | München | Lager | deactivated
Gwendolyn Pryce | Leeds | Lager | deactivated quiet
Lukas Zündel | Zürich | Lager | guest
Elif Şahin | Hamburg | Fahrer
Piet van der Velde | Hamburg | Fahrer
Ludwig Käser | München | Fahrer
Sanne Mårtensson | Hamburg | Fahrer | quiet
George Featherstone | Leeds | Fahrer
Aoife Gallagher | Leeds | Büro
Ruth Bäumler | München | Büro
Jean-Luc Fürst | Zürich | Büro
Imogen St John | Leeds | Büro | lite
Nguyễn Thị Hoa | Leipzig | Büro
Wolfgang Jäger | Leipzig | Werkstatt
Heike Strößner | Leipzig | Werkstatt | quiet
Mirko Đorđević | München | Werkstatt
Agentur Sommer | Hamburg | Büro | guest
Auditor Klöckner | Zürich | | guest
Former Admin | Hamburg | Büro | deactivated
"""
"""Name, site, groups, and what is special: quiet (no notifications), lite, guest or deactivated."""

SITES = {
    "Deutschland": ("Hamburg", "München", "Leipzig"),
    "Schweiz": ("Zürich",),
    "United Kingdom": ("Leeds",),
}

FORKLIFT = "CCCHCCOCCSCDCCACCHCCOCCHCCSCCDCCACHCO"
"""Progress of the first 37 on the roster: complete, half, opened, assessment unsigned, post only, assignment only."""

FORKLIFT_LESSONS = """
Welcome to the yard | content
Daily checks before you start | content
Loads, stability and the triangle | quiz | 80
Practical assessment: pallet stacking | practical assessment | 70
What nearly went wrong? | discussion
Your site's risk assessment | assignment
"""

# Title, kind, and what there is to choose from, the right answer of a question first.
FORKLIFT_SLIDES: tuple[tuple[str, ...], ...] = (
    ("The yard from above", "content"),
    ("Who has right of way at gate 4?", "question", "Whoever is on foot", "The truck", "The lorry"),
    ("How sure do you feel of the rules of the yard?", "survey", "Very", "Fairly", "Not yet"),
)
"""Of its first lesson."""

# Title, status, lessons, settings, to whom it is assigned, what part of them has begun (in tenths).
COURSES: tuple[tuple[str, str, int, dict[str, Any], tuple[str, str], int], ...] = (
    ("Forklift Basics", "Archived", 3, {"locale": "en-GB"}, ("group", "Fahrer"), 8),
    (
        "Gefahrgut: Grundlagen & Kennzeichnung ⚠️",
        "Published",
        4,
        {"certificate": True, "is_mandatory": True, "completion_expires_months": 12, "locale": "de-DE"},
        ("group", "Lager"),
        7,
    ),
    (
        "„Sicher ankommen“ – Ladungssicherung für Fahrer",
        "Published",
        3,
        {"is_mandatory": True, "locale": "de-DE"},
        ("group", "Fahrer"),
        9,
    ),
    ('Manual handling: "lift with your legs"', "Published", 2, {}, ("site", "Leeds"), 6),
    (
        "Erste Hilfe im Betrieb 🩹",
        "Published",
        5,
        {"certificate": True, "completion_expires_months": 24, "locale": "de-DE"},
        ("site", "München"),
        5,
    ),
    ("Data protection in 20 minutes", "Published", 1, {"is_mandatory": True}, ("everyone", ""), 6),
    ("Onboarding 2027 🚚", "Scheduled", 3, {}, ("group", "Büro"), 0),
    (
        "Winterdienst auf dem Hof",
        "Archived",
        2,
        {"locale": "de-DE", "certificate": True},
        ("group", "Werkstatt"),
        10,
    ),
    ("Cold chain handling", "Draft", 3, {}, ("site", "Leipzig"), 3),
    ("Zolldokumente Schweiz–EU", "Published", 2, {"locale": "de-CH"}, ("site", "Zürich"), 5),
    ("Shift leader essentials", "Published", 4, {"certificate": True}, ("group", "Schichtleitung"), 10),
    ("Brandschutzübung", "Published", 2, {"locale": "de-DE"}, ("site", "Hamburg"), 7),
    ("Brandschutzu\u0308bung", "Draft", 2, {"locale": "de-DE"}, ("site", "Hamburg"), 0),
)
"""The last two titles look alike and differ in their code points."""

EARLIER = ("Data protection in 20 minutes",)
"""Courses that were worked through in the first weeks, for a recertification after a year."""

# Title, titles of its courses, to whom it is assigned, whether it is published.
CourseLists = tuple[tuple[str, tuple[str, ...], tuple[str, str], bool], ...]
PATHS: CourseLists = (
    (
        "Warehouse induction",
        ("Data protection in 20 minutes", "Forklift basics", "Gefahrgut: Grundlagen & Kennzeichnung ⚠️"),
        ("group", "Lager"),
        True,
    ),
    (
        "Fahrer: erste Woche",
        ("Data protection in 20 minutes", "„Sicher ankommen“ – Ladungssicherung für Fahrer"),
        ("group", "Fahrer"),
        True,
    ),
    (
        "Leadership 2027",
        ("Shift leader essentials", "Onboarding 2027 🚚"),
        ("group", "Schichtleitung"),
        False,
    ),
)
REFRESH = (
    "Five minutes on ladders",
    {
        "Who may use a damaged ladder?": ("Nobody", "Whoever is careful"),
        "How many points of contact?": ("Three", "Two", "One"),
    },
)
REFRESH_ANSWERS = (
    ("Anna Özdemir", ("Nobody", "Three")),
    ("Maeve O'Brien", ("Whoever is careful", "Three")),
    ("Torben Lüdemann", ("Nobody",)),
)

CONTEST = (
    "Safety cup 2026",
    ("Forklift basics", "Gefahrgut: Grundlagen & Kennzeichnung ⚠️"),
    datetime(2026, 1, 5, tzinfo=UTC),
    datetime(2026, 12, 18, tzinfo=UTC),
)

COLLECTIONS: CourseLists = (
    (
        "Safety at work",
        ("Forklift basics", "Erste Hilfe im Betrieb 🩹", 'Manual handling: "lift with your legs"'),
        ("everyone", ""),
        True,
    ),
    ("Winter", ("Winterdienst auf dem Hof",), ("group", "Werkstatt"), False),
)
