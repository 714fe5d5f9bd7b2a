"""May this agent, for this task, do this, now?

Step 6. Policies are Cedar: principal is the agent, action the tool (in the group of this call's tier), resource the
connector; the context holds typed arguments, the task, its history and the surroundings. Forbid beats permit, nothing
is permitted by default, and a policy that cannot be evaluated denies. A person's approval is a forbid with one form
(`source`), so no policy can grant what another withholds until a person has said yes.
"""

from remit.policy.check import Policies
from remit.policy.explain import explain
from remit.policy.ground import ENGINE
from remit.policy.known import known
from remit.policy.load import compiled, difference, load, remember
from remit.policy.source import merged
from remit.policy.starter import STARTER

__all__ = ["ENGINE", "STARTER", "Policies", "compiled", "difference", "explain", "known", "load", "merged", "remember"]
