"""Evidence packages: the progress before a reset, stored on this machine, verified, pseudonymised and purged.

``client.resets.apply`` writes a package before it sends anything. These functions read packages without a client.
"""

from training_sdk.evidence.history import PastCompletion, history
from training_sdk.evidence.pack import Manifest, Pack, open_pack, packs_in, read_manifest, refuse_old
from training_sdk.evidence.pseudonyms import pseudonym, pseudonymise
from training_sdk.evidence.purging import Purged, purge
from training_sdk.evidence.verifying import Finding, FindingKind, PackFinding, verify_pack

__all__ = [
    "Finding",
    "FindingKind",
    "Manifest",
    "Pack",
    "PackFinding",
    "PastCompletion",
    "Purged",
    "history",
    "open_pack",
    "packs_in",
    "pseudonym",
    "pseudonymise",
    "purge",
    "read_manifest",
    "refuse_old",
    "verify_pack",
]
