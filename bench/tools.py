"""What the tool server of the benchmarks offers, and what is asked of it: an order desk of ten tools, and shelves.

`search_orders` (a read) and `update_order` (a write) are called; the others are there so that lists, views and policies
are of a usual size, and a shelf of plain tools beside them makes it a large one. Every call's arguments differ in a
serial number of fixed width, so requests are of one length, their canonical form can be written down, and a result that
belongs to another call is noticed. Arguments are made larger with lines of an order, 80 characters each.
"""

from functools import cache
from typing import Any, Final

SERVER: Final = {"name": "order-desk", "version": "1.4.2"}
READ: Final = "search_orders"
WRITE: Final = "update_order"
SERIALS: Final = range(10_000_000, 100_000_000)

_OTHERS: Final = (
    *("get_order", "list_orders", "get_customer", "search_customers"),
    *("track_shipment", "create_order", "cancel_order", "send_invoice"),
)
_MORE: Final = (
    "Asks by customer, region and text, at most 100 a call; regions are those of the shop the customer ordered in, not "
    "of the address it is sent to."
)
_REGIONS: Final = ("eu-west", "eu-north", "eu-south", "us-east", "us-west", "apac")

# RFC 8785 by hand: keys sorted, no blanks. The two numbers are the serial; the lines stand between `limit` and `note`.
_ARGUMENTS: Final = (
    b'{"customer":"cus_%d","filters":{"active":true,"regions":["eu-west","eu-north"]},"limit":20,%b'
    b'"note":"the parcel of the second week of May, sent in two parts, one returned","serial":%d}'
)
_LINE: Final = b'"two crates of the green kind, packed apart, for the back door of the second house"'


def arguments(serial: int, lines: int = 0) -> bytes:
    """The arguments of one call as canonical JSON: some 200 bytes, and 83 for each line of the order."""
    return _ARGUMENTS % (serial, _order_lines(lines), serial)


@cache
def _order_lines(lines: int) -> bytes:
    return b'"lines":[%b],' % b",".join([_LINE] * lines) if lines else b""


def result(serial: int, customer: str) -> dict[str, Any]:
    """What the server answers."""
    found = {"serial": serial, "customer": customer, "status": "open", "total": 1, "orders": [f"ord_{serial}"]}
    text = f"1 order of {customer} is open: ord_{serial}, two parts sent, one returned"
    content = [{"type": "text", "text": text}]
    return {"content": content, "structuredContent": found, "isError": False, "resultType": "complete"}


def tools(shelf: int = 0) -> list[dict[str, Any]]:
    """All contracts, as `tools/list` tells them; so many of a shelf after the order desk's own."""
    return [*map(_tool, names()), *map(_shelved, on_shelf(shelf))]


def names() -> tuple[str, ...]:
    """The names of the order desk's tools."""
    return (READ, WRITE, *_OTHERS)


def on_shelf(number: int) -> tuple[str, ...]:
    """The names of so many tools of a shelf."""
    return tuple(f"get_item_{at:04}" for at in range(number))


def tier(name: str) -> str:
    """The tier an owner would give a tool."""
    return "read" if name.startswith(("get_", "list_", "search_", "track_")) else "write"


def _tool(name: str) -> dict[str, Any]:
    verb, _, what = name.partition("_")
    return {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "description": f"{verb.capitalize()} {what} of the order desk. {_MORE}",
        "inputSchema": _INPUT,
        "outputSchema": _OUTPUT,
        "annotations": {"readOnlyHint": tier(name) == "read", "openWorldHint": False},
    }


def _shelved(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{name.replace('_', ' ').capitalize()} of the shelf: where it lies and how many are left.",
        "inputSchema": _SHELVED,
        "annotations": {"readOnlyHint": True},
    }


_SHELVED: Final = {
    "type": "object",
    "properties": {"serial": {"type": "integer", "minimum": 0}, "note": {"type": "string", "maxLength": 200}},
    "required": ["serial"],
}
_INPUT: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "customer": {"type": "string", "pattern": "^cus_[0-9]{8}$", "description": "The customer's number"},
        "serial": {"type": "integer", "minimum": 0, "description": "The order's number"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        "note": {"type": "string", "maxLength": 2000},
        "lines": {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": 5000},
        "filters": {
            "type": "object",
            "properties": {
                "active": {"type": "boolean"},
                "regions": {"type": "array", "items": {"type": "string", "enum": list(_REGIONS)}, "maxItems": 6},
                "since": {"type": "string", "format": "date"},
            },
        },
    },
    "required": ["customer", "serial"],
}
_OUTPUT: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "serial": {"type": "integer"},
        "customer": {"type": "string"},
        "status": {"type": "string", "enum": ["open", "closed", "returned"]},
        "total": {"type": "integer", "minimum": 0},
        "orders": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["serial", "customer", "status"],
}
