"""LangBot's Service API under /api/v1: its provider and model management, as its clients and its GUI call it.

The contract's facts are from LangBot's source and from calls to its servers (github.com/langbot-app/LangBot, 4.11.2).
"""
