"""Several worker processes under one gateway: who keeps the store, who serves the agents, what passes between them.

The main process keeps what there must be one of: the store with its lock and keys, the people's door, the routines.
Each worker serves agents: the door, the flow, sessions with tool servers. A worker reads the state from a replica that
the main process feeds with every change in order, and writes by asking it; so one sequencer checks every condition of
every write, and what is exact in one process is exact in several. See `docs/adr/0009-workers.md`.
"""
