"""Small cells and runs are those of the tests of stores."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "store"))
