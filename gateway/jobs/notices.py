"""Notices of limits that are due, told by the worker."""

import logging
from typing import Any

from accounts.services import notices
from common.jobs import Running
from gateway.notices import tell

logger = logging.getLogger(__name__)

JSON = dict[str, Any]

AT_ONCE = 100  # what comes after them has a task of its own


def tell_due(task: Running) -> JSON:
    """Tell those that are due; the result counts them. What failed is due again later, by itself."""
    notices.forget_orphans()
    counted = {"told": 0, "failed": 0}
    for notice in notices.due()[:AT_ONCE]:
        task.go_on()
        if notices.claim(notice=notice):
            errors = tell(notice)
            counted["failed" if errors else "told"] += 1
            for error in errors:
                logger.warning("limit %s at %s %% is not told: %s", notice.limit.name, notice.percent, error)
    return counted
