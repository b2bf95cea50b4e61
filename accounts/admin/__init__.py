"""The console's pages for people, keys, payments and charges."""

from accounts.admin import charges, codes, keys, limits, payments, people, workers

__all__ = ["charges", "codes", "keys", "limits", "payments", "people", "workers"]
