"""The two identities that this dialect's rows carry: of this installation, and of the one workspace that it is.

Derived from the installation's secret: the same on every replica and after every restart, without a table.
"""

import uuid

from django.utils.crypto import salted_hmac

SALT = "gateway.dialects.langbot.identity"


def instance_uuid() -> str:
    return _derived("instance")


def workspace_uuid() -> str:
    return _derived("workspace")


def _derived(of: str) -> str:
    digest = salted_hmac(SALT, of, algorithm="sha256").hexdigest()
    return str(uuid.uuid5(uuid.NAMESPACE_OID, digest))
