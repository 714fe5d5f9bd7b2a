"""The agents' door: Model Context Protocol over HTTP, both protocol generations, and the stdio bridge to it.

A wire, nothing more: it reads requests strictly, asks its `Backend` who is calling and what the answer is, and says
that answer in the client's revision. It decides nothing about a call, sends nothing upstream and keeps nothing but
the sessions of older clients.
"""

from remit.edge.mcp.backend import Backend, DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.server import Serving, listener, serve

__all__ = ["Backend", "DoorSettings", "Serving", "agents_door", "listener", "serve"]
