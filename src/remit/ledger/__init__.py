"""What happened, and can anyone check it?

An append-only Merkle log (RFC 9162) of receipts under signed checkpoints (C2SP tlog-checkpoint). `receipt` says what
a leaf holds, `merkle` and `checkpoint` how it is bound, `bundle` how it leaves the house, `verify` how anyone with a
public key checks it. Nothing here writes: the drivers in `edge/store` do.
"""
