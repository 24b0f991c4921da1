"""Reference servers with one rule switched off: every way of breaking a rule, and the checks that must notice it.

They are all of that one rule; there is no exception to it.
"""

from __future__ import annotations

from unit.sdk.contract_kit import break_effect, break_follow, break_form, break_order, break_rights
from unit.sdk.contract_kit.spoiling import Break

BREAKS: dict[Break, tuple[str, ...]] = {
    **break_rights.BREAKS,
    **break_form.BREAKS,
    **break_effect.BREAKS,
    **break_follow.BREAKS,
    **break_order.BREAKS,
}
