"""One readable training loop; optimisers, schedules and losses by name; evaluation.

Takes flat arguments, never a spec.
"""

from lottery_ticket.choices import KERNELS as KERNELS
from lottery_ticket.train._batches import Batch as Batch
from lottery_ticket.train._batches import Batches as Batches
from lottery_ticket.train._call import as_plain_ as as_plain_
from lottery_ticket.train._call import called as called
from lottery_ticket.train._checkpoint import CheckpointError as CheckpointError
from lottery_ticket.train._checkpoint import checkpoint_bytes as checkpoint_bytes
from lottery_ticket.train._checkpoint import optimizer_state as optimizer_state
from lottery_ticket.train._checkpoint import optimizer_tensors as optimizer_tensors
from lottery_ticket.train._checkpoint import restore_ as restore_
from lottery_ticket.train._evaluate import EVALUATED_TOGETHER as EVALUATED_TOGETHER
from lottery_ticket.train._evaluate import Evaluation as Evaluation
from lottery_ticket.train._evaluate import evaluate as evaluate
from lottery_ticket.train._history import History as History
from lottery_ticket.train._history import early_stop as early_stop
from lottery_ticket.train._loop import BF16_NUMERICS as BF16_NUMERICS
from lottery_ticket.train._loop import NUMERICS as NUMERICS
from lottery_ticket.train._loop import TrainState as TrainState
from lottery_ticket.train._loop import train as train
from lottery_ticket.train._losses import LOSSES as LOSSES
from lottery_ticket.train._losses import TASKS as TASKS
from lottery_ticket.train._losses import Loss as Loss
from lottery_ticket.train._losses import register_loss as register_loss
from lottery_ticket.train._metrics import METRICS as METRICS
from lottery_ticket.train._metrics import Metric as Metric
from lottery_ticket.train._metrics import measured as measured
from lottery_ticket.train._metrics import register_metric as register_metric
from lottery_ticket.train._optimizers import OPTIMIZERS as OPTIMIZERS
from lottery_ticket.train._optimizers import make_optimizer as make_optimizer
from lottery_ticket.train._optimizers import register_optimizer as register_optimizer
from lottery_ticket.train._schedules import SCHEDULES as SCHEDULES
from lottery_ticket.train._schedules import learning_rate as learning_rate
from lottery_ticket.train._schedules import register_schedule as register_schedule
from lottery_ticket.train._schedules import schedule_options as schedule_options
from lottery_ticket.train._step import AutogradStep as AutogradStep
from lottery_ticket.train._step import Step as Step
from lottery_ticket.train._step import check_kernels as check_kernels
from lottery_ticket.train._step import step_for as step_for
from lottery_ticket.train.batched.memory import can_be_stacked as can_be_stacked
from lottery_ticket.train.batched.memory import training_bytes as training_bytes
from lottery_ticket.train.batched.step import BatchedStep as BatchedStep
from lottery_ticket.train.batched.step import train_together as train_together
