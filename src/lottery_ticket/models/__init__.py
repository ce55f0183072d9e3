"""Architectures and their initial weights, by name."""

from lottery_ticket.models import _conv as _conv
from lottery_ticket.models import _lenet as _lenet
from lottery_ticket.models._conv import Conv2 as Conv2
from lottery_ticket.models._conv import Conv4 as Conv4
from lottery_ticket.models._conv import Conv6 as Conv6
from lottery_ticket.models._lenet import MLP as MLP
from lottery_ticket.models._lenet import LeNet5 as LeNet5
from lottery_ticket.models._lenet import LeNet300 as LeNet300
from lottery_ticket.models._registry import MODELS as MODELS
from lottery_ticket.models._registry import build as build
from lottery_ticket.models._registry import model_options as model_options
from lottery_ticket.models._registry import register_model as register_model
