from accounts.models.charges import Charge, Outcome, State, UsageSource, Worker
from accounts.models.codes import CodeState, RedemptionCode, WrongCode
from accounts.models.keys import ApiKey, Group, GroupGrant, KeyGrant, Payment, PaymentKind, Role, Scope, User
from accounts.models.limits import Action, Limit, LimitCounter, LimitNotice, Metric, Subject, Window
from accounts.models.rollups import DayOfSpend
from accounts.models.tokens import RefreshToken

__all__ = [
    "Action",
    "ApiKey",
    "Charge",
    "CodeState",
    "DayOfSpend",
    "Group",
    "GroupGrant",
    "KeyGrant",
    "Limit",
    "LimitCounter",
    "LimitNotice",
    "Metric",
    "Outcome",
    "Payment",
    "PaymentKind",
    "RedemptionCode",
    "RefreshToken",
    "Role",
    "Scope",
    "State",
    "Subject",
    "UsageSource",
    "User",
    "Window",
    "Worker",
    "WrongCode",
]
