"""Step 8, the answer: one write for one call, and the warrant it earns."""

from remit.commit.model import Booking, Reserve, Warrant, Write, Written
from remit.ledger.receipt import Draft, Intent


def plan(booking: Booking) -> Write:
    """The one transaction of a call."""
    return Write(
        expect_epoch=booking.epoch,
        expect_counters=booking.expect_counters,
        reserves=_reservations(booking, 1),
        drafts=(
            Draft(
                body=Intent(
                    asked=booking.asked, epoch=booking.epoch, retry_of=booking.retry_of, answers=booking.answers
                ),
                task=booking.task,
                values=booking.values,
                hash_only=booking.hash_only,
            ),
        ),
    )


def returned(booking: Booking) -> tuple[Reserve, ...]:
    """The same reservations, given back: only for a call that was certainly not sent."""
    return _reservations(booking, -1)


def warrant(booking: Booking, written: Written, *, expires: int) -> Warrant:
    """The permission for exactly this call, once its intent is durable. `expires` is epoch ms."""
    return Warrant(
        call=booking.asked.call,
        intent=written.seqs[0],
        digest=booking.digest,
        task=booking.task,
        agent=booking.asked.agent,
        connector=booking.asked.connector,
        expires=expires,
    )


def _reservations(booking: Booking, amount: int) -> tuple[Reserve, ...]:
    return tuple(Reserve(counter=name, amount=amount, most=most) for name, most in booking.counters.items())
