"""Must a person say yes, and have they, to exactly this?

Step 7. Policy names the approvals a call needs; this stage answers whether they are there. Nobody can give one
yet, so every STEP_UP is withheld, with the names, and nothing is sent.
"""

from remit.approval.check import approved

__all__ = ["approved"]
