# %% [markdown]
# # Before and after a reset
#
# A reset cannot be undone, and the service does not show afterwards what a person had completed. This notebook shows
# progress before and after as one frame and one plot, and finds the old completions in the evidence.

# %%
import httpx
import matplotlib.pyplot as plt
from IPython.display import display

from mock_server import MockTraining
from training_sdk import TrainingClient, evidence

mock = MockTraining.demo()
client = TrainingClient(
    mock.token("admin"), http_client=httpx.Client(transport=mock.transport()), state_dir="practice"
)
course = client.courses.get("6908610029087ab67fa50c2e")
completed = [row.user_id for row in client.progress.list(course_id=course.id) if row.completed_at]
plan = client.resets.plan(course.id, completed[:12])

# %% [markdown]
# ## Reset
#
# The phrase in this cell fits one plan only. Your plan has another one: [Retraining](retraining.md) shows how to read a
# plan and confirm it.

# %%
report = client.resets.apply(
    plan,
    confirm='reset "Forklift basics" for 12 users #94d4-ca2c-2166-087d',
    reason="before and after",
)
display(report)

# %% [markdown]
# ## One frame
#
# `before_and_after` puts the progress in the plan beside the rows of the feed. (A live service shows the reset up to
# two hours later.)

# %%
frame = plan.before_and_after(client.progress.list(course_id=course.id)).to_pandas()
frame[["user_name", "percent_before", "percent_after", "score_before", "score_after", "state_after"]].head(5)

# %% alt="For each person a line from the percentage before the reset to the percentage after it"
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.hlines(frame["user_name"], frame["percent_after"], frame["percent_before"], color="#b8bfc6", linewidth=2)
ax.scatter(frame["percent_before"], frame["user_name"], color="#2f6f4f", s=55, label="before", zorder=3)
ax.scatter(frame["percent_after"], frame["user_name"], color="#c2410c", s=55, label="after", zorder=3)
ax.set(title=f"{course.title}: progress before and after", xlabel="per cent", xlim=(-4, 104))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
plt.show()

# %% [markdown]
# ## Verify
#
# A reset that was accepted is not verified yet. `wait_until_verified` reads the progress of everyone again.

# %%
verification = client.resets.wait_until_verified(report)
display(verification)

# %% [markdown]
# ## Find the old completions in the evidence
#
# Before the reset, `apply` saved what the service had recorded. `evidence.history` reads the packs.

# %%
past = evidence.history(report.packs).to_pandas()
past[["user_name", "completed_at", "score"]].head(5)

# %%
client.close()
