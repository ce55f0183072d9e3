"""A first spec: what somebody says of data and model, as commented YAML that runs."""

from lottery_ticket.starter._answers import Answers as Answers
from lottery_ticket.starter._answers import Recipe as Recipe
from lottery_ticket.starter._answers import control_names as control_names
from lottery_ticket.starter._answers import default_recipe as default_recipe
from lottery_ticket.starter._data import DataChoice as DataChoice
from lottery_ticket.starter._data import chosen_data as chosen_data
from lottery_ticket.starter._data import data_lines as data_lines
from lottery_ticket.starter._model import ModelChoice as ModelChoice
from lottery_ticket.starter._model import chosen_model as chosen_model
from lottery_ticket.starter._model import default_model as default_model
from lottery_ticket.starter._model import fitting_models as fitting_models
from lottery_ticket.starter._templates import TEMPLATE_DATA as TEMPLATE_DATA
from lottery_ticket.starter._templates import TEMPLATE_MODEL as TEMPLATE_MODEL
from lottery_ticket.starter._templates import template as template
from lottery_ticket.starter._text import command_line as command_line
from lottery_ticket.starter._text import spec_text as spec_text
