"""The store: state, counters and ledger behind one sequencer.

`sequencer` orders writes, `writer` commits them in groups, `memory` and `sqlite` keep them. Both drivers pass the one
suite in `tests/store/`, which is the contract of `commit/facts.py` as tests.
"""
