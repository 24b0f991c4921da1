// Reads what the test compares with the world, and does not compile where the types say less than the document.
import createClient from "openapi-fetch";
import type { paths } from "./training.js";

const [url, admin, learner] = process.argv.slice(2);
const speaking = (token: string | undefined) =>
  createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const client = speaking(admin);
const courseId = "6908610029087ab67fa50c2e";

const who = await client.GET("/accounts/user/v1/user:WhoAmI");
const courses = await client.GET("/training/courses/v1", { params: { query: { pageSize: 3 } } });
const people = await client.GET("/feed/users", { params: { query: { limit: 1000 } } });
const rows = await client.GET("/training/v1/feed/training-course-progress", { params: { query: { limit: 1 } } });
const lessons = await client.GET("/training/courses/v1/{courseId}/lessons", { params: { path: { courseId } } });
const preview = await client.POST("/training/courseprogress/v1/reset:preview", { body: { courseId, allUsers: true } });
const inspections = await client.GET("/feed/inspections");
const refused = await speaking(learner).GET("/feed/users");
if (refused.data) throw new Error(`a learner reads ${refused.data.data.length} people`);

// @ts-expect-error: the document has no such parameter
const misspelt = await client.GET("/training/courses/v1", { params: { query: { pagesize: 3 } } });
// @ts-expect-error: a reset names its people
const nobody: paths["/training/courseprogress/v1/reset"]["post"]["requestBody"]["content"]["application/json"] = { courseId };

console.log(
  JSON.stringify({
    user: who.data?.user_id,
    courses: courses.data?.totalCount,
    people: people.data?.data.length,
    next_page: people.data?.metadata.next_page,
    opened: typeof rows.data?.data[0]?.opened_at,
    lessons: lessons.data?.lessons.length,
    reset: preview.data?.usersToReset,
    inspections: inspections.response.status,
    misspelt: misspelt.response.status,
    nobody: Object.keys(nobody).length,
    refused: [refused.response.status, refused.error.details[0]?.reason],
  }),
);
