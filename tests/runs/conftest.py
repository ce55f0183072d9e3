"""Small cells are made as the tests of stores make them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "store"))
