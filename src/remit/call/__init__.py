"""What exactly is asked?

Step 1. A wire hands over an `Ask` (method, name and arguments as strictly parsed by `canonical.parse`, and who
claims to send it); `decode` returns the `Call`, whose arguments are decoded from their own canonical bytes. From
there on nothing else about the arguments counts: not the caller's spelling, order or number formats.
"""

from remit.call.check import call_digest, continued, decode, recalled
from remit.call.model import Ask, Call, Client, Kind, Method, Round

__all__ = ["Ask", "Call", "Client", "Kind", "Method", "Round", "call_digest", "continued", "decode", "recalled"]
