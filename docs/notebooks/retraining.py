# %% [markdown]
# # Retraining after an incident
#
# A forklift truck has tipped over. Nordwerk Logistik now wants all drivers to have passed "Forklift basics" in the last
# nine months, with a score of 85 or more. This notebook finds the people who have to do the course again, shows them,
# and resets them, in the demo organisation of the reference server.
#
# `state_dir` stores the records of this example apart from your real records. Leave it out for a live service.

# %%
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import matplotlib.pyplot as plt
from IPython.display import display

from mock_server import MockTraining
from training_sdk import ProgressState, TrainingClient

mock = MockTraining.demo()
client = TrainingClient(
    mock.token("admin"), http_client=httpx.Client(transport=mock.transport()), state_dir="practice"
)
course = client.courses.get("6908610029087ab67fa50c2e")
print(course.title)

# %% [markdown]
# ## Read the progress
#
# The progress feed has a row for each person assigned, also for people who have not started. On a live service the rows
# are up to two hours old.

# %%
rows = list(client.progress.list(course_id=course.id))
print(Counter(str(row.state) for row in rows))

# %% [markdown]
# ## Find the people who need retraining
#
# They completed the course more than nine months ago, or with a score below 85. People who are in the middle of the
# course can finish it.

# %%
today = datetime(2026, 12, 1, tzinfo=UTC)
oldest, lowest = today - timedelta(days=274), 85

completed = [row for row in rows if row.state is ProgressState.COMPLETED]
due = [row for row in completed if row.completed_at < oldest or row.score < lowest]
print(f"{len(due)} of {len(completed)} who completed the course")

# %% alt="Date of completion against score, with those who need retraining marked: too old on the left, too low below"
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for label, colour, marker, group in (
    ("up to date", "#4a6572", "o", [row for row in completed if row not in due]),
    ("needs retraining", "#c2410c", "D", due),
):
    days, scores = [row.completed_at for row in group], [row.score for row in group]
    ax.scatter(days, scores, s=48, c=colour, marker=marker, label=f"{label} ({len(group)})")
ax.axvline(oldest, color="#888", linestyle="--", linewidth=1)
ax.axhline(lowest, color="#888", linestyle="--", linewidth=1)
ax.text(oldest, 101.5, "nine months ago", color="#555", ha="center")
ax.text(1.01, lowest, "passed\nwell", color="#555", va="center", transform=ax.get_yaxis_transform())
ax.set(xlabel="completed on", ylabel="score", ylim=(75, 101))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper right")
fig.autofmt_xdate()
plt.show()

# %% [markdown]
# ## Plan
#
# Planning changes nothing. The table shows what each person would lose. "Run all" makes a new plan: *last reset on* and
# a warning show the people whom this machine has reset before.
#
# **What a cell shows is stored in the notebook's file, names and e-mail addresses included.** Clear all outputs
# before you commit the file or share it.

# %%
plan = client.resets.plan(course.id, [row.user_id for row in due])
display(plan)

# %% [markdown]
# ## Confirm and apply
#
# Read the plan: is it the right course, the right number, the right people? Then type the phrase into the next cell,
# from the parts that the plan lists. **Your phrase ends in other characters,** because the digest covers everything in
# the plan, also the time of reading. So "Run all" does not reset a person twice: the new plan has another phrase. A
# wrong phrase is refused, and nothing is sent.

# %%
report = client.resets.apply(
    plan,
    confirm='reset "Forklift basics" for 18 users #2735-71e2-c0e5-c00a',
    reason="yearly retraining",
)
print(report.reset_count, "reset, complete:", report.is_complete)

# %% [markdown]
# ## Verify
#
# A reset that was accepted is not verified yet. Read the progress back. (A live service shows the reset up to two hours
# later.)

# %%
wanted = {user.user_id for user in plan.targets}
after = [row for row in client.progress.list(course_id=course.id) if row.user_id in wanted]
assert len(after) == len(wanted)
assert {(row.state, row.progress_percent) for row in after} == {(ProgressState.NOT_STARTED, 0.0)}
print(f"all {len(after)} at 0 %")

# %% [markdown]
# The progress of all other people is as before:

# %%
now = list(client.progress.list(course_id=course.id))
assert [row for row in now if row.user_id not in wanted] == [row for row in rows if row.user_id not in wanted]
print(Counter(str(row.state) for row in now))

# %%
client.close()
