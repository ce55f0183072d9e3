__version__: str

from .api import RunResult as RunResult
from .api import load_run as load_run
from .api import run as run
from .arms import register_arm as register_arm
from .criteria import register_criterion as register_criterion
from .data import register_augmentation as register_augmentation
from .data import register_dataset as register_dataset
from .errors import LotteryError as LotteryError
from .errors import UsageError as UsageError
from .experiment import register_probe as register_probe
from .finder import LotteryTicketFinder as LotteryTicketFinder
from .finder import TicketResults as TicketResults
from .masks import MaskPolicy as MaskPolicy
from .masks import PruningMask as PruningMask
from .models import register_model as register_model
from .pruning import MagnitudePruner as MagnitudePruner
from .pruning import Structured24Pruner as Structured24Pruner
from .pruning import prune as prune
from .pruning import register_policy as register_policy
from .spec import Spec as Spec
from .spec import load_spec as load_spec
from .tickets import Ticket as Ticket
from .train import register_loss as register_loss
from .train import register_metric as register_metric
from .train import register_optimizer as register_optimizer
from .train import register_schedule as register_schedule
