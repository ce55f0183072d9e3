"""Tables as figures. No display and no global state: safe in threads and notebooks."""

from lottery_ticket.plots._curves import curves_figure as curves_figure
from lottery_ticket.plots._density import density_figure as density_figure
from lottery_ticket.plots._draw import draw_all as draw_all
from lottery_ticket.plots._draw import draw_summary_figure as draw_summary_figure
from lottery_ticket.plots._inputs import inputs_figure as inputs_figure
from lottery_ticket.plots._layers import layers_figure as layers_figure
from lottery_ticket.plots._overlap import overlap_figure as overlap_figure
from lottery_ticket.plots._signs import signs_figure as signs_figure
from lottery_ticket.plots._style import ARM_STYLE as ARM_STYLE
from lottery_ticket.plots._style import ArmStyle as ArmStyle
