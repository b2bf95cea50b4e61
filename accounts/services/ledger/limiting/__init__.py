"""Limits in the ledger: which of them a call counts against, what is taken of them, and what is told of it."""
