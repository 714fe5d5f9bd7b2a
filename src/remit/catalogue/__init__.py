"""What exists, who owns it, and what of it is in force?

The catalogue is `remit.yaml` (`load`) and the store's rows about it, seen together (`View`). It says how much a call
could do (`classify`), and whether what a tool server advertises is what somebody accepted (`contract_of`, `compare`,
`diff`). Nothing here decides about a call.
"""

from remit.catalogue.classify import Classified, Touched, classify
from remit.catalogue.contracts import Change, Changes, compare, contract_of, diff
from remit.catalogue.load import load
from remit.catalogue.view import View

__all__ = [
    "Change",
    "Changes",
    "Classified",
    "Touched",
    "View",
    "classify",
    "compare",
    "contract_of",
    "diff",
    "load",
]
