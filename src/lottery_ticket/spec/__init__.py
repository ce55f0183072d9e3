"""What an experiment is: frozen, strictly validated records, read from YAML, named by content."""

from lottery_ticket.spec._canonical import canonical as canonical
from lottery_ticket.spec._canonical import canonical_json as canonical_json
from lottery_ticket.spec._canonical import fingerprint as fingerprint
from lottery_ticket.spec._derived import retrain_spec as retrain_spec
from lottery_ticket.spec._derived import transfer_spec as transfer_spec
from lottery_ticket.spec._load import load_spec as load_spec
from lottery_ticket.spec._load import parse_overrides as parse_overrides
from lottery_ticket.spec._load import spec_from_mapping as spec_from_mapping
from lottery_ticket.spec._presets import preset_names as preset_names
from lottery_ticket.spec._presets import preset_text as preset_text
from lottery_ticket.spec._prune import PruneSpec as PruneSpec
from lottery_ticket.spec._records import DataSpec as DataSpec
from lottery_ticket.spec._records import ModelSpec as ModelSpec
from lottery_ticket.spec._records import TrainSpec as TrainSpec
from lottery_ticket.spec._spec import ArmSpec as ArmSpec
from lottery_ticket.spec._spec import SourceSpec as SourceSpec
from lottery_ticket.spec._spec import Spec as Spec
