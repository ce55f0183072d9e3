"""What masks look like, as tables: overlap beside chance, densities, dead paths, kept weights.

Pure functions on masks; `read_masks` and its kin read those of a run from its store.
"""

from lottery_ticket.analysis.structure.density import effective_density as effective_density
from lottery_ticket.analysis.structure.density import effective_mask as effective_mask
from lottery_ticket.analysis.structure.density import input_density as input_density
from lottery_ticket.analysis.structure.density import layer_density as layer_density
from lottery_ticket.analysis.structure.density import unit_density as unit_density
from lottery_ticket.analysis.structure.overlap import Chance as Chance
from lottery_ticket.analysis.structure.overlap import LayerCounts as LayerCounts
from lottery_ticket.analysis.structure.overlap import chance_overlap as chance_overlap
from lottery_ticket.analysis.structure.overlap import mask_overlap as mask_overlap
from lottery_ticket.analysis.structure.overlap import overlap_table as overlap_table
from lottery_ticket.analysis.structure.place import MaskPlace as MaskPlace
from lottery_ticket.analysis.structure.stored import kept_weights as kept_weights
from lottery_ticket.analysis.structure.stored import read_masks as read_masks
from lottery_ticket.analysis.structure.stored import run_effective_density as run_effective_density
from lottery_ticket.analysis.structure.stored import run_kept_weights as run_kept_weights
