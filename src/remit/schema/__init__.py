"""Is it a well-formed call of the contract we pinned?

Step 4. The world of a contract is closed: what its schema does not name cannot be sent, at any depth. A schema that
says it is open (`additionalProperties`, `unevaluatedProperties`, `patternProperties`) or describes nothing stays open
there, and every such place is listed when the contract is pinned. Nothing is ever fetched to read a schema.
"""

from remit.schema.check import accepts_more, check_contract, conforming, open_places

__all__ = ["accepts_more", "check_contract", "conforming", "open_places"]
