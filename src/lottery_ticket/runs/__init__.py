"""Many runs at once: which there are, what was run, and what came of it.

The names are those of the stub beside this file; they are loaded when they are first used, since
runs are listed without pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
