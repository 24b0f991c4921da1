# %% [markdown]
# # Yearly recertification
#
# Nordwerk Logistik renews "Forklift basics" nine months after each completion. This notebook finds who is due today,
# shows the coming months, and plans the reset of the people who are due. It sends no reset.
# [Recertify every year](../how-to/recertify.md) explains the rules, the hold list and the grace period.

# %%
from datetime import UTC, datetime

import httpx
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from mock_server import MockTraining
from training_sdk import TrainingClient
from training_sdk.recertification import FromCompletion, who_is_due

today = datetime(2026, 12, 1, 9, tzinfo=UTC)  # in your notebook: datetime.now(UTC)
mock = MockTraining.demo(now=today)
client = TrainingClient(
    mock.token("admin"), http_client=httpx.Client(transport=mock.transport()), state_dir="practice"
)
course = client.courses.get("6908610029087ab67fa50c2e")

# %% [markdown]
# ## Who is due
#
# Siobhán Doyle is on parental leave, so she is on the hold list. People who are due have a grace period of ten days.

# %%
due = who_is_due(
    client.progress.list(course_id=course.id),
    FromCompletion(months=9),
    on=today,
    zone="Europe/Zurich",
    warn=60,
    grace=10,
    hold=["siobhan.doyle@nordwerk.example"],
)
display(due)

# %% alt="Number of people whose completion has to be renewed, by week, those before today in another colour"
days = pd.to_datetime([case.due_on for cases in due.listed.values() for case in cases if case.due_on])
weeks = days.to_period("W").start_time.value_counts().sort_index()
colours = ["#c2410c" if week < pd.Timestamp(today.date()) else "#4a6572" for week in weeks.index]
fig, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
ax.bar(weeks.index.strftime("%d %b"), weeks, color=colours, width=0.6)
ax.bar_label(ax.containers[0], padding=3)
ax.set(title="Completions to renew, by week (orange: begun before today)", ylabel="people", ymargin=0.2)
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Plan their reset
#
# `plan_due` reads the people again and omits everyone who is no longer due. Read the plan, save it, and let a
# second person approve it if your rules require that. [Retraining](retraining.md) shows how to confirm and apply.

# %%
plan = client.resets.plan_due(due)
display(plan)

# %%
client.close()
