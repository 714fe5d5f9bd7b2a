"""Who asks?

Step 2. A bearer token becomes a `Principal`: `peek` says whose key to look for, `verify` what the token really says,
`agent_of` which catalogued agent that is, `admitted` whether it may come in. Proof is asked for on every request;
nothing is trusted because an earlier request was.
"""

from remit.identity.check import admitted, agent_of, service_of
from remit.identity.issuers import Issuers, issuers_of
from remit.identity.model import Claims, Issuer, Key, Peeked, Principal
from remit.identity.verify import peek, verify

__all__ = [
    "Claims",
    "Issuer",
    "Issuers",
    "Key",
    "Peeked",
    "Principal",
    "admitted",
    "agent_of",
    "issuers_of",
    "peek",
    "service_of",
    "verify",
]
