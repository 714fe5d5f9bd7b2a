"""What really happened?

Step 12. Every call that was committed gets exactly one outcome receipt: what came back, or why nothing the agent may
see did. No outcome on record means no result: `refused` then says that the call did take effect.
"""

from remit.outcome.check import Course, outcome, outcome_draft, refused, shown

__all__ = ["Course", "outcome", "outcome_draft", "refused", "shown"]
