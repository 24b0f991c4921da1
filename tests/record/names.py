"""The public names of both packages, each with its parameters and, for a class, its public attributes."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMES = Path(__file__).with_name("names.json")
PAGES = Path(__file__).parents[2] / "docs" / "reference"
OURS = ("training_sdk", "mock_server")
"""Attributes inherited from other libraries are theirs."""
MODULES = (
    "training_sdk",
    "training_sdk.evidence",
    "training_sdk.recertification",
    "training_sdk.testing.contract",
    "training_sdk.testing.contract.runner",
    "mock_server",
    "mock_server.transports.serving",
)
_DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|autoclass|autofunction|autoexception|autodata):: ([\w.]+)", re.M
)


def public() -> dict[str, Any]:
    """Every name with its module: in ``__all__``, on a reference page, or in the record of an earlier state."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    named = {f"{name}:{each}" for name, module in modules.items() for each in module.__all__}
    return {each: _described(_resolved(each)) for each in sorted(named | set(_on_pages()) | set(recorded()))}


def _on_pages() -> Iterator[str]:
    for page in sorted(PAGES.glob("*.md")):
        module = "training_sdk"
        for directive, name in _DIRECTIVE.findall(page.read_text()):
            if directive == "currentmodule":
                module = name
            else:
                parent, _, last = name.rpartition(".")
                yield f"{parent or module}:{last}"


def _resolved(name: str) -> object:
    module, _, last = name.partition(":")
    return getattr(importlib.import_module(module), last)


def recorded() -> dict[str, Any]:
    """What the record says."""
    kept: dict[str, Any] = json.loads(NAMES.read_text())
    return kept


def _described(value: object) -> Any:
    if inspect.isclass(value):
        own = {name for base in value.__mro__ if base.__module__.startswith(OURS) for name in vars(base)}
        kept = {name: _attribute(value, name) for name in sorted(own) if not name.startswith("_")}
        return {"()": _parameters(value), **kept}
    return _parameters(value) if callable(value) else type(value).__name__


def _attribute(owner: type, name: str) -> Any:
    found = getattr(owner, name, None)
    return _parameters(found) if inspect.isroutine(found) else "value"


def _parameters(value: Callable[..., Any]) -> list[str]:
    try:
        signature = inspect.signature(value)
    except (ValueError, TypeError):
        return []
    return [_parameter(each) for each in signature.parameters.values()]


def _parameter(each: inspect.Parameter) -> str:
    kind = " (keyword)" if each.kind is inspect.Parameter.KEYWORD_ONLY else ""
    optional = "" if each.default is inspect.Parameter.empty else "=…"
    star = "*" * ((each.kind is each.VAR_POSITIONAL) + 2 * (each.kind is each.VAR_KEYWORD))
    return f"{star}{each.name}{optional}{kind}"
