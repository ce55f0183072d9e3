"""What an experiment is: frozen, strictly validated records, read from YAML, named by content.

Names are loaded when they are first used: presets are listed without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lottery_ticket.spec._canonical import canonical as canonical
    from lottery_ticket.spec._canonical import canonical_json as canonical_json
    from lottery_ticket.spec._canonical import fingerprint as fingerprint
    from lottery_ticket.spec._derived import retrain_spec as retrain_spec
    from lottery_ticket.spec._derived import transfer_spec as transfer_spec
    from lottery_ticket.spec._load import load_spec as load_spec
    from lottery_ticket.spec._load import parse_overrides as parse_overrides
    from lottery_ticket.spec._load import spec_from_mapping as spec_from_mapping
    from lottery_ticket.spec._presets import preset_data as preset_data
    from lottery_ticket.spec._presets import preset_names as preset_names
    from lottery_ticket.spec._presets import preset_text as preset_text
    from lottery_ticket.spec._prune import PruneSpec as PruneSpec
    from lottery_ticket.spec._records import DataSpec as DataSpec
    from lottery_ticket.spec._records import ModelSpec as ModelSpec
    from lottery_ticket.spec._records import TrainSpec as TrainSpec
    from lottery_ticket.spec._spec import ArmSpec as ArmSpec
    from lottery_ticket.spec._spec import ClaimSpec as ClaimSpec
    from lottery_ticket.spec._spec import SourceSpec as SourceSpec
    from lottery_ticket.spec._spec import Spec as Spec

_HOMES = {
    "canonical": "lottery_ticket.spec._canonical",
    "canonical_json": "lottery_ticket.spec._canonical",
    "fingerprint": "lottery_ticket.spec._canonical",
    "retrain_spec": "lottery_ticket.spec._derived",
    "transfer_spec": "lottery_ticket.spec._derived",
    "load_spec": "lottery_ticket.spec._load",
    "parse_overrides": "lottery_ticket.spec._load",
    "spec_from_mapping": "lottery_ticket.spec._load",
    "preset_data": "lottery_ticket.spec._presets",
    "preset_names": "lottery_ticket.spec._presets",
    "preset_text": "lottery_ticket.spec._presets",
    "PruneSpec": "lottery_ticket.spec._prune",
    "DataSpec": "lottery_ticket.spec._records",
    "ModelSpec": "lottery_ticket.spec._records",
    "TrainSpec": "lottery_ticket.spec._records",
    "ArmSpec": "lottery_ticket.spec._spec",
    "ClaimSpec": "lottery_ticket.spec._spec",
    "SourceSpec": "lottery_ticket.spec._spec",
    "Spec": "lottery_ticket.spec._spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
