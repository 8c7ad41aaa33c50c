"""``python -m rlrecipe`` is ``rlrecipe``."""

import sys

from rlrecipe.cli import main

sys.exit(main())
