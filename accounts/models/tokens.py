"""Log-ins that go on: what a refresh token is recognised by."""

import uuid

from django.db import models

from accounts.models.keys import User


class RefreshToken(models.Model):
    """One of the tokens that follow each other from a log-in on. Only a digest of its text is kept."""

    user = models.ForeignKey(User, models.CASCADE, related_name="refresh_tokens")
    family = models.UUIDField(default=uuid.uuid4, db_index=True, help_text="The log-in that it descends from.")
    digest = models.CharField(max_length=64, unique=True)
    stamp = models.CharField(max_length=16, help_text="Changes with the password, so that a new one ends all log-ins.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="When the log-in is over, however often it was refreshed.")
    spent_at = models.DateTimeField(null=True, help_text="When another took its place.")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.user}, {self.created_at:%Y-%m-%d %H:%M}"
