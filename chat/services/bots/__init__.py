"""Bots: what chat platforms send is taken in, answered by a model over the one pipeline, and shown as it grows."""
