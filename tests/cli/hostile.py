"""Text that would do something to a terminal if it ever reached one as it is."""

import unicodedata

# Clears the screen, sets the title, turns the direction, hides, goes back, breaks the line, is a C1 control, is a tag.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil\u2066\u200b\x08\r\nremit: all is well\x7f\x9b31m\u2028\U000e0041"
LONG = "x" * 10_000


def unseen(text: str) -> set[str]:
    """What is in the text that a terminal would act on or not show, the ends of its lines aside."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
