"""The policy set a new home begins with.

What a task's scope and budget allow has been settled before policy is asked (steps 3 and 8); these rules say what
may be asked for at all. They name no agent and no tool, so they hold over any catalogue, an empty one too.
"""

from typing import Final

STARTER: Final = """\
// The starting set. Scope and budget of the task are enforced besides, whatever stands here.
// Forbid beats permit: a permit you add can never reach past a forbid below.

// Reads in the task's scope pass.
@id("starter.reads")
permit (principal, action in Action::"read", resource);

// Writes in the task's scope pass, within its budget.
@id("starter.writes")
permit (principal, action in Action::"write", resource);

// Privileged calls can pass at all only because a person is asked about each one.
@id("starter.privileged")
permit (principal, action in Action::"privileged", resource);

// A person approves every privileged call.
@id("starter.privileged-approval")
@approval("privileged-call")
forbid (principal, action in Action::"privileged", resource)
unless { context.approvals.contains("privileged-call") };

// Where agents share the gateway's OS user, an agent could be its own authority: nothing privileged passes.
@id("starter.same-user")
forbid (principal, action in Action::"privileged", resource)
when { context.boundary == "same-user" };

// A client that declared no task reads, and nothing else.
@id("starter.template-tasks-read-only")
@unscoped("holds for every action that is not a read, also for tiers added later")
forbid (principal, action, resource)
when { context.task.origin != "declared" }
unless { action in Action::"read" };

// Agent, task and connector are of one environment.
@id("starter.environment")
@unscoped("environments never mix, whoever calls whatever")
forbid (principal, action, resource)
unless
{
  principal.environment == resource.environment &&
  context.task.environment == resource.environment
};

// Agent, task and connector are of one tenant.
@id("starter.tenant")
@unscoped("tenants never mix, whoever calls whatever")
forbid (principal, action, resource)
unless { principal.tenant == resource.tenant && context.task.tenant == resource.tenant };
"""
