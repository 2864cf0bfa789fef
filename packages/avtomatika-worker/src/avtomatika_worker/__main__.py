"""``python -m avtomatika_worker`` is the command line."""

import sys

from avtomatika_worker.cli import main

sys.exit(main())
