"""Read a Parquet set of training progress with Spark, with the fixed schema of the rows.

Install: ``pip install pyspark``. Run: ``python progress_spark.py FOLDER``.
"""

import sys
from typing import Any

SCHEMA = """
    course_id STRING, user_id STRING, opened_at TIMESTAMP, completed_at TIMESTAMP, completed_lessons BIGINT,
    progress_percent DOUBLE, total_lessons BIGINT, score DOUBLE, course_external_id STRING, course_title STRING,
    user_email STRING, user_first_name STRING, user_last_name STRING, user_external_id STRING, due_at TIMESTAMP,
    time_spent_seconds DOUBLE, completion_expiry_date TIMESTAMP, has_recorded_progress BOOLEAN, state STRING,
    user_name STRING
"""


def read(spark: Any, folder: str) -> Any:
    """Return the set as a Spark frame. Its subfolders are courses; the course is a column of the files too."""
    return spark.read.schema(SCHEMA).option("recursiveFileLookup", "true").parquet(folder)


if __name__ == "__main__":
    from pyspark.sql import SparkSession

    session = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    read(session, sys.argv[1]).groupBy("course_title", "state").count().show(truncate=False)
