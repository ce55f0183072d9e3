"""Find, prove and ship winning lottery tickets.

The public names are those of the stub beside this file; they are loaded when they are first used,
so that importing this package costs nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
