from accounts.models.charges import Charge, Outcome, State, UsageSource, Worker
from accounts.models.keys import ApiKey, Group, GroupGrant, KeyGrant, Payment, Role, Scope, User
from accounts.models.tokens import RefreshToken

__all__ = [
    "ApiKey",
    "Charge",
    "Group",
    "GroupGrant",
    "KeyGrant",
    "Outcome",
    "Payment",
    "RefreshToken",
    "Role",
    "Scope",
    "State",
    "UsageSource",
    "User",
    "Worker",
]
