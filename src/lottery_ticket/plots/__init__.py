"""Tables as figures. No display and no global state: safe in threads and notebooks."""

from ._curves import curves_figure as curves_figure
from ._density import density_figure as density_figure
from ._draw import draw_all as draw_all
from ._draw import draw_summary_figure as draw_summary_figure
from ._layers import layers_figure as layers_figure
from ._style import ARM_STYLE as ARM_STYLE
from ._style import ArmStyle as ArmStyle
