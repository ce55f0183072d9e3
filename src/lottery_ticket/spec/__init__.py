"""What an experiment is: frozen, strictly validated records, read from YAML, named by content.

The names are those of the stub beside this file; they are loaded when they are first used, since
presets are listed without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
