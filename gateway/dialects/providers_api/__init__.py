"""The providers API under /api: provider configurations by name, log-in, people, their keys, and what calls came to.

The contract's facts are from the public documentation of ZIRI Gateway and its source (github.com/zstrikehq/ziri,
1c090dc and 7f68115).
"""
