"""May it be written down, and is there still enough?

Step 8. Everything a call uses up and everything it leaves on record becomes one `Write`: the revocation epoch is still
the one the caller was identified under, the counters are still those the decision read, the budget holds, and
the intent receipt is appended. Either all of it is durable or none of it happened; only then is there a `Warrant`.
"""

from remit.commit.check import plan, returned, warrant

__all__ = ["plan", "returned", "warrant"]
