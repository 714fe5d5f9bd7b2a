"""What really happened?

Step 12. Every call that was committed gets exactly one outcome receipt: what came back, or why nothing the agent may
see did. A call its server accepted to end later (an operation) gets a completion besides. No outcome on record means no
result: `refused` then says that the call did take effect.
"""

from remit.outcome.check import Course, outcome, outcome_draft, refused, shown
from remit.outcome.operation import Caller, Came, End, Operation, closed, operations_of, owned, same

__all__ = [
    "Caller",
    "Came",
    "Course",
    "End",
    "Operation",
    "closed",
    "operations_of",
    "outcome",
    "outcome_draft",
    "owned",
    "refused",
    "same",
    "shown",
]
