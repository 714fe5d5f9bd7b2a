"""For what purpose, and is that still open?

Step 3. Every call is made under a task: declared work with a requester, a scope no wider than its purpose, a budget and
an end. `within` answers for one call; `opened`, `renewed`, `moved` and `template` are a task's life (`table.py`), and
`history` what was used of it.
"""

from remit.task.check import assigned, visible, within
from remit.task.history import history, prefix_of, reservations
from remit.task.model import Standing, Task, TaskSpec
from remit.task.open import opened, renewed, template
from remit.task.table import Move, diagram, moved

__all__ = [
    "Move",
    "Standing",
    "Task",
    "TaskSpec",
    "assigned",
    "diagram",
    "history",
    "moved",
    "opened",
    "prefix_of",
    "renewed",
    "reservations",
    "template",
    "visible",
    "within",
]
