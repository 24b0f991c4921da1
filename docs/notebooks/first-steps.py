# %% [markdown]
# # First steps
#
# This notebook reads courses and progress, and looks at a plan. It changes nothing. It runs against the demo
# organisation of the reference server. With a live service, the first cell is `client = TrainingClient()`, which reads
# the token from `SAFETYCULTURE_API_TOKEN`.
#
# You need the SDK, `pandas` and `matplotlib`.

# %%
import httpx
import matplotlib.pyplot as plt
from IPython.display import display

from mock_server import MockTraining
from training_sdk import TrainingClient

mock = MockTraining.demo()
client = TrainingClient(
    mock.token("admin"),
    http_client=httpx.Client(transport=mock.transport()),
    state_dir="practice",
    read_only=True,
)
me = client.users.me()
print("Signed in as", me.firstname, me.lastname)

# %% [markdown]
# ## List the courses
#
# A listing at the end of a cell shows its first rows. `to_pandas()` reads all pages into a frame.

# %%
courses = client.courses.list().to_pandas()
courses[["title", "status", "id"]].head(6)

# %% [markdown]
# ## Read the progress of one course
#
# The feed has one row for each person assigned. People who have not started have a row too. On a live service the rows
# are up to two hours old.

# %%
course = client.courses.get("6908610029087ab67fa50c2e")
rows = client.progress.list(course_id=course.id).to_pandas()
rows[["user_name", "state", "progress_percent", "score", "completed_at"]].head(6)

# %%
counts = rows["state"].value_counts()
print(counts)

# %% alt="Bars with the number of people who completed the course, are in progress, and have not started"
fig, ax = plt.subplots(figsize=(7, 2.2), layout="constrained")
colours = {"completed": "#2f6f4f", "in progress": "#d9a441", "not started": "#b8bfc6"}
ax.barh(counts.index.astype(str), counts, color=[colours[state] for state in counts.index])
ax.bar_label(ax.containers[0], padding=4)
ax.invert_yaxis()
ax.set(title=course.title, xlabel="people")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Look at a plan
#
# A plan shows who would lose what. Planning changes nothing, and this client cannot reset a person: it is
# `read_only`. [Retraining](retraining.md) shows how to continue.
#
# **What a cell shows is stored in the notebook's file, names and e-mail addresses included.** Clear all outputs before
# you commit the file or share it.

# %%
plan = client.resets.plan(course.id, rows["user_id"].head(4))
display(plan)

# %%
client.close()
