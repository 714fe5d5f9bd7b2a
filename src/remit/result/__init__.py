"""What may come back?

Step 11. A reply is checked against the pinned output schema and the size limit, and labelled: nothing that came from
a tool server is trusted, so every result carries at least the label `untrusted`. What may not pass is withheld with a
reason; the call has happened all the same, and the outcome says so.
"""

from remit.result.asked import ASKS, relayed
from remit.result.check import Sender, inspect
from remit.result.note import passing
from remit.result.operation import UNTRUSTED, Report, report

__all__ = ["ASKS", "UNTRUSTED", "Report", "Sender", "inspect", "passing", "relayed", "report"]
