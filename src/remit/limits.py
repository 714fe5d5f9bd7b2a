"""Every bound in one place: a named constant with its unit and where the number comes from.

What an operator may tune is in the catalogue (per-agent limits); what is here holds for everybody.
"""

# What may come in. Sources: JSON-RPC bodies of agents observed up to 300 KB; Cedar's JSON reader stops at
# 128 levels; RFC 8785 / I-JSON (RFC 7493 section 2.2) bound integers at 2^53 - 1.
BODY_BYTES_MAX = 4 * 1024 * 1024
ARGUMENTS_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 64
INTEGER_MAX = 2**53 - 1
NAME_CHARS_MAX = 256
URI_CHARS_MAX = 2048

# What may come back.
RESULT_BYTES_MAX = 16 * 1024 * 1024
RESULT_CHECKED_BYTES_MAX = 2 * 1024 * 1024  # of one with an output schema: reading it strictly takes 10 ms a megabyte

# What a server says and asks while a call runs: notes are dropped beyond these, questions withheld. A person may take
# this long over a question (clients give up after minutes); a held exchange lives no longer.
NOTE_BYTES_MAX = 64 * 1024
NOTES_MAX = 10_000
QUESTIONS_MAX = 16
QUESTIONS_BYTES_MAX = 256 * 1024
ANSWER_WAIT_S = 600
ROUNDS_MAX = 32
SUBSCRIPTIONS_MAX = 64  # of one session with a tool server: each may take a connection

# Calls a server ends later: how long one is followed at most, how many an agent may have, what of its arguments is kept
# to decide about answers, how often its server is asked about it if it does not say, and at most whatever it says.
OPERATION_LIFETIME_MAX_S = 7 * 24 * 3600
OPERATIONS_PER_AGENT_MAX = 256
OPERATION_ARGUMENTS_BYTES_MAX = 64 * 1024
OPERATION_POLL_MS = 1_000
OPERATION_POLL_MIN_MS = 100
OPERATION_POLL_MAX_MS = 60_000
OPERATION_TEXT_CHARS_MAX = 4_096
OPERATION_UPKEEP_S = 30

# The catalogue's file: some 4,000 tools with their rules. PyYAML builds about 1 MB a second of it.
CATALOGUE_BYTES_MAX = 4 * 1024 * 1024

# Advertised contracts: untrusted input of tool servers.
CONTRACT_BYTES_MAX = 256 * 1024
CONTRACTS_PER_CONNECTOR_MAX = 4000

# Schemas inside them: how many branches may speak of one value, how often one value may be checked on the way down
# (a branch costs some 50 ns, so a value at most about a millisecond), how many compiled ones are remembered.
SCHEMA_BRANCHES_MAX = 2_000
SCHEMA_WORK_MAX = 20_000
SCHEMA_CHECKS_MAX = 20_000  # of all values of one call together, where it is looked into why: some 15 µs each
SCHEMA_STEPS_MAX = 300_000  # of reading one before its first use, a few µs each; 256 KB of plain ones take 60,000
SCHEMAS_COMPILED_MAX = 1024

# Tokens. An agent's own token lives minutes (RFC 9700 section 2.2.1 asks for short ones); skew as in RFC 7519 4.1.4.
TOKEN_LIFETIME_MAX_S = 600
TOKEN_BYTES_MAX = 16 * 1024
CLOCK_SKEW_S = 30
JWKS_REFETCH_MIN_S = 30
JWKS_REFRESH_S = 300
JWKS_BYTES_MAX = 256 * 1024
JWKS_TIMEOUT_S = 3

# Keys of an issuer that cannot be reached serve on for an hour. Tokens of other issuers live at most a day unless their
# row says otherwise (a Kubernetes or CI token: an hour). Verified tokens remembered: some 1 KB each.
JWKS_STALE_MAX_S = 3600
EXTERNAL_TOKEN_LIFETIME_MAX_S = 24 * 3600
TOKENS_REMEMBERED_MAX = 10_000

# Standing tokens, for clients that can hold nothing but a static header: how long one may live, and from what age on
# `doctor` asks whether it is still needed.
STANDING_TOKEN_DAYS_MAX = 90
STANDING_TOKEN_OLD_DAYS = 30

# Time never runs back: a clock further than this behind the durable high-water mark denies everything.
CLOCK_REGRESSION_MS = 5_000

# Per-agent defaults; the catalogue may lower or raise them per agent.
AGENT_CALLS_PER_SECOND = 200
AGENT_IN_FLIGHT = 64
AGENT_OPEN_TASKS = 100
AGENT_STREAMS = 16
AGENT_PROCESSES = 16

# Tasks.
TASK_LIFETIME_MAX_S = 7 * 24 * 3600
TASK_CALLS_MAX = 100_000
TEMPLATE_IDLE_S = 1800
REQUEST_TEXT_CHARS_MAX = 20_000

# How often a call starts again because the revocation epoch or its task's history moved under it.
RESTARTS_MAX = 16

# Forwarding.
UPSTREAM_TIMEOUT_S = 60
UPSTREAM_IDLE_S = 300
UPSTREAM_START_S = 30
CONTRACT_CHECK_S = 60

# Records. Identical denials within the window become one counted receipt.
DENIAL_WINDOW_MS = 10_000
NOISE_WINDOW_MS = 60_000
CHECKPOINT_EVERY_S = 5
GROUP_COMMIT_MAX = 512
VALUES_PER_RECEIPT_MAX = 256

# Disk: below the reserve nothing passes; below the alarm `doctor`, the log and a receipt say so.
DISK_RESERVE_BYTES = 64 * 1024 * 1024
DISK_ALARM_BYTES = 512 * 1024 * 1024

# Policy evaluation.
UNSCOPED_POLICIES_MAX = 200

# Types of one action's arguments: how deep records nest and how many there are before the rest stays untyped (Cedar's
# own tree stops at 100 levels). Slices and bases remembered: one per agent, action, tier and connector in use.
POLICY_TYPE_DEPTH_MAX = 8
POLICY_TYPES_MAX = 2_000
POLICY_SLICES_MAX = 4_096
POLICY_ANSWERS_MAX = 256

# The agents' door. Slow senders lose the connection; a page of a list stays well under what SDK clients read.
REQUEST_ARRIVES_S = 30
CONNECTIONS_MAX = 4096
SESSION_IDLE_S = 3600
LABEL_CHARS_MAX = 64
REQUEST_ID_CHARS_MAX = 256
LIST_PAGE_ITEMS = 500
LIST_PAGE_BYTES = 1024 * 1024
LIST_TTL_MS = 5_000
