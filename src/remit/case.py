"""What has been learned of one call so far, and what the record says of it.

`flow.govern` fills a case step by step; an attribute does not exist before its step has answered, so nothing can
be read that was not established. When a step says no, the denial's receipt holds exactly what was known by then.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from remit.call import Ask, Call
from remit.catalogue import Classified
from remit.catalogue.model import Agent, Connector, Tool
from remit.commit.model import Booking
from remit.decision import Decision
from remit.errors import UpstreamFault
from remit.forward.model import Fault, Reply
from remit.identity.model import Principal
from remit.ledger.receipt import Asked
from remit.policy.model import Request
from remit.reasons import Denied, Reason
from remit.task import Setting, reservations
from remit.task.model import Task

_WHY: Final = {
    "unreachable": Reason.UPSTREAM_UNREACHABLE,
    "timeout": Reason.UPSTREAM_TIMEOUT,
    "died": Reason.UPSTREAM_DIED,
    "protocol": Reason.UPSTREAM_PROTOCOL,
}
