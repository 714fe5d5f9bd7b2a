"""The agents' door: Model Context Protocol over HTTP, both protocol generations, and the stdio bridge to it.

A wire, nothing more: it reads requests strictly, asks its `Backend` who is calling and what the answer is, and says
that answer in the client's revision. It decides nothing about a call, sends nothing upstream and keeps nothing but
the sessions of older clients.

`door.agents_door` makes the application, `server.serve` runs it, `bridge.bridge_stdio` is the other end of the wire.
"""
