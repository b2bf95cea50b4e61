"""The console's pages for people, keys, payments and charges."""

from accounts.admin import charges, keys, payments, people, workers

__all__ = ["charges", "keys", "payments", "people", "workers"]
