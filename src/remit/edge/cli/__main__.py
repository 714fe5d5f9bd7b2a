"""`python -m remit.edge.cli` is `remit`."""

import sys

from remit.edge.cli import main

sys.exit(main())
