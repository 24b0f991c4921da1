"""Names of modules: those that have moved are imported by the old ones too, all are attributes when they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader
else:  # a loader by its methods: the import of importlib.abc takes a tenth of the time of a start
    Loader = object

MOVED: dict[str, str] = {
    "mock_server.api.listing": "mock_server.api.operation",
    "mock_server.api.sites": "mock_server.api.groups",
    "mock_server.argument_checks": "mock_server.refusal",
    "mock_server.compare.structure": "mock_server.compare.comparison",
    "mock_server.control.inspection": "mock_server.control.routes",
    "mock_server.control.tokens": "mock_server.control.naming",
    "mock_server.control_client": "mock_server.control.client",
    "mock_server.doors": "mock_server.transports",
    "mock_server.doors.asgi": "mock_server.transports.asgi",
    "mock_server.doors.httpx": "mock_server.transports.httpx",
    "mock_server.doors.responses": "mock_server.transports.responses",
    "mock_server.doors.respx": "mock_server.transports.respx",
    "mock_server.doors.serving": "mock_server.transports.serving",
    "mock_server.doors.webhooks": "mock_server.transports.webhooks",
    "mock_server.live": "mock_server.learner_actions",
    "mock_server.openapi": "mock_server.api.openapi",
    "mock_server.rules.authentication": "mock_server.rules.access",
    "mock_server.rules.certificates": "mock_server.rules.completion",
    "mock_server.rules.eligibility": "mock_server.rules.scope",
    "mock_server.rules.late_writes": "mock_server.learner_actions",
    "mock_server.rules.leaderboards": "mock_server.api.leaderboards",
    "mock_server.rules.learning": "mock_server.learner_actions",
    "mock_server.rules.notifications": "mock_server.rules.reset",
    "mock_server.rules.permissions": "mock_server.rules.access",
    "mock_server.rules.queue": "mock_server.rules.reset",
    "mock_server.rules.visibility": "mock_server.rules.access",
    "mock_server.wire.answer_class": "mock_server.wire.schema",
    "mock_server.world.argument_checks": "mock_server.refusal",
    "mock_server.world.ids": "mock_server.world.world",
    "mock_server.world.seeds.history": "mock_server.world.seeds.generate",
    "mock_server.world.typed": "mock_server.world.codec",
}
"""Old name to new name; a package's modules are named one by one."""


class MovedModules(Loader):
    """Answer the import of an old module name with the module at its new place."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a moved module, None for any other."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module at its new place."""
        module = importlib.import_module(MOVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Keep the module as it is: it was executed under its new name."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


# Before the finder of folders, which would load a module of a moved package a second time under its old name.
sys.meta_path.insert(0, MovedModules())


def submodules(package: str) -> Callable[[str], ModuleType]:
    """Return the ``__getattr__`` of a package that imports a module in it when the module is first used."""

    def imported(name: str) -> ModuleType:
        wanted = f"{package}.{name}"
        try:
            if not name.startswith("_"):
                return importlib.import_module(wanted)
        except ModuleNotFoundError as error:
            if error.name != wanted:
                raise
        raise AttributeError(f"Module {package!r} has no attribute {name!r}.")

    return imported
