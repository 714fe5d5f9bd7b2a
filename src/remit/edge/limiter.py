"""How much one valid agent may ask at once: calls per second, calls in flight, open streams.

A token bucket per agent holds one second's worth of calls. Every call that asks to come in takes a token, whether it is
let through, refused for what is in flight, or denied by a later step: denials cost what calls cost.
"""

from remit.catalogue.model import AgentLimits
from remit.reasons import Denied, Reason


class _Agent:
    __slots__ = ("at", "in_flight", "streams", "tokens")

    def __init__(self, tokens: float, at: int) -> None:
        self.tokens = tokens
        self.at = at
        self.in_flight = 0
        self.streams = 0


class Limiter:
    """One per gateway process; agents are catalogue names, so there are never more than the catalogue's."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}

    def enter(self, agent: str, limits: AgentLimits, *, now: int) -> None:
        """Count one call in (`now`: epoch ms), or raise `Denied(identity.rate)` or `Denied(identity.in_flight)`."""
        one = self._agents.get(agent)
        if one is None:
            one = self._agents[agent] = _Agent(limits.calls_per_second, now)
        gained = max(0, now - one.at) * limits.calls_per_second / 1000
        one.tokens, one.at = min(limits.calls_per_second, one.tokens + gained), now
        if one.tokens < 1:
            raise Denied(Reason.IDENTITY_RATE, f"at most {limits.calls_per_second} a second")
        one.tokens -= 1
        if one.in_flight >= limits.in_flight:
            raise Denied(Reason.IDENTITY_IN_FLIGHT, f"at most {limits.in_flight} at once")
        one.in_flight += 1

    def leave(self, agent: str) -> None:
        """Count a call out that `enter` counted in."""
        self._agents[agent].in_flight -= 1

    def open_stream(self, agent: str, limits: AgentLimits) -> None:
        """Count one stream in, or raise `Denied(identity.in_flight)`."""
        one = self._agents.setdefault(agent, _Agent(limits.calls_per_second, 0))
        if one.streams >= limits.streams:
            raise Denied(Reason.IDENTITY_IN_FLIGHT, f"at most {limits.streams} open streams")
        one.streams += 1

    def close_stream(self, agent: str) -> None:
        """Count a stream out that `open_stream` counted in."""
        self._agents[agent].streams -= 1
