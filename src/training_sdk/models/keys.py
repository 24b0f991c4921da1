"""What one person's progress in one course is known by."""

from __future__ import annotations

from typing import TypeAlias

Key: TypeAlias = tuple[str, str]
"""Course id and user id."""
