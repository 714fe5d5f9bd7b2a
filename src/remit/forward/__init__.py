"""What exactly goes out?

Step 10. The canonical bytes that were decided on, and besides them only what is on the list: the caller's token,
headers and environment never travel, and of its `_meta` only the keys named in `META_ALLOWED`.
"""

from remit.forward.check import askable, outgoing, upkeep

__all__ = ["askable", "outgoing", "upkeep"]
