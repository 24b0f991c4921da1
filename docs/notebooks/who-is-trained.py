# %% [markdown]
# # Who is trained and who is not
#
# This notebook shows who is trained, by course and by site, and who is late. It changes nothing. It runs against the
# demo organisation of the reference server.

# %%
import httpx
import matplotlib.pyplot as plt
import pandas as pd

from mock_server import MockTraining
from training_sdk import TrainingClient

mock = MockTraining.demo()
client = TrainingClient(
    mock.token("admin"),
    http_client=httpx.Client(transport=mock.transport()),
    state_dir="practice",
    read_only=True,
)

# %% [markdown]
# ## One row per person and course
#
# `table` joins the progress feed with the names of the sites of each person.

# %%
courses = client.courses.list().to_pandas()
published = courses.loc[courses["status"] == "Published", "id"]
progress = client.progress.table(courses=published, sites=True).to_pandas()
print(len(progress), "rows of", progress["user_id"].nunique(), "people")
progress[["user_name", "course_title", "state", "sites"]].head(5)

# %% [markdown]
# ## By course

# %%
by_course = progress.groupby(["course_title", "state"], observed=False).size().unstack(fill_value=0)
by_course = by_course[["completed", "in progress", "not started"]]
by_course["trained %"] = (100 * by_course["completed"] / by_course.sum(axis=1)).round()
by_course = by_course.sort_values("trained %")
by_course

# %% alt="Share of people who completed each course, as bars from the lowest to the highest"
COLOURS = ["#2f6f4f", "#d9a441", "#b8bfc6"]


def shares(counts, title):
    """Draw one bar per row: completed, in progress, not started."""
    states = counts[["completed", "in progress", "not started"]]
    _, ax = plt.subplots(figsize=(9, 0.42 * len(states) + 1.4), layout="constrained")
    states.index = states.index.str.replace(
        "[\U0001f000-\U0001faff]", "", regex=True
    )  # the font has no emoji
    people = states.sum(axis=1)
    states.div(people, axis=0).mul(100).plot.barh(stacked=True, color=COLOURS, ax=ax, width=0.75)
    for place, count in enumerate(people):
        ax.text(101, place, f"{count}", va="center", color="#555")
    ax.set(title=title, xlabel="per cent of people (number at the right)", ylabel="", xlim=(0, 100))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.14 - 0.6 / len(states)))
    plt.show()


shares(by_course, "By course")

# %% [markdown]
# ## By site, for one course
#
# `explode` makes a row for each site: a person who belongs to several sites counts for each of them.

# %%
title = "Data protection in 20 minutes"
data_protection = progress[progress["course_title"] == title].explode("sites")
by_site = data_protection.groupby(["sites", "state"], observed=False).size().unstack(fill_value=0)
by_site["trained %"] = (100 * by_site["completed"] / by_site.sum(axis=1)).round()
by_site = by_site.sort_values("trained %")
by_site

# %% alt="Share of people at each site who completed the course on data protection"
shares(by_site, f"{title}, by site")

# %% [markdown]
# ## People who are late
#
# Their due date has passed, and they have not completed the course. Remind them.

# %%
now = pd.Timestamp("2026-12-01", tz="UTC")  # in your notebook: pd.Timestamp.now("UTC")
late = data_protection[data_protection["completed_at"].isna() & (data_protection["due_at"] < now)]
late = late.drop_duplicates("user_id").sort_values("due_at")
print(len(late), "people are late")
late["due"] = late["due_at"].dt.date
late[["user_name", "user_email", "sites", "progress_percent", "due"]].head(8)

# %%
client.close()
