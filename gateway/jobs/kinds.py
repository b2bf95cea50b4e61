"""Every kind of background task: what it does, and which rights it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts.models import Scope
from accounts.services.principals import Principal
from chat.services.bots import answers
from common.jobs import Running
from common.models import Job
from gateway.jobs import checks, exports, imports, notices

JSON = dict[str, Any]

# Two queues, as nobody in a chat waits until an import is over, nor does a notice of a limit.
HEAVY, BOTS = "default", "bots"


@dataclass(frozen=True, slots=True)
class Kind:
    """`work` makes the result, and may be called again where an earlier attempt was cut off.

    `start`: the rights that whoever starts it must hold, all of them. `read`: all of one of these open its file.
    `is_shown`: people started it, and look at what becomes of it; the others are many and short, and forgotten when
    they are over.
    """

    title: str
    work: Callable[[Running], JSON]
    start: tuple[Scope, ...] = ()
    read: tuple[tuple[Scope, ...], ...] = ()
    file_name: str = ""
    file_type: str = ""
    is_shown: bool = True
    queue: str = HEAVY

    def missing_of(self, principal: Principal) -> Scope | None:
        """The first right that somebody lacks who wants to start one."""
        return next((scope for scope in self.start if not principal.may(scope)), None)

    def may_read(self, principal: Principal) -> bool:
        return any(all(map(principal.may, each)) for each in self.read)

    def unread_without(self, principal: Principal) -> Scope | None:
        """The first right that somebody lacks to read its file the way that most do."""
        return next((scope for scope in self.read[0] if not principal.may(scope)), None) if self.read else None


CHECK, IMPORT, CONFIG, CHARGES = "provider-check", "model-import", "config-export", "charges-export"
ANSWER, NOTICES = "bot-answer", "limit-notices"

KINDS = {
    CHECK: Kind("Check of all providers", checks.check_providers, start=(Scope.RUNTIME_OPERATE,)),
    IMPORT: Kind("Import of models", imports.import_models, start=(Scope.PROVIDER_SECRET_MANAGE,)),
    CONFIG: Kind(
        "Export of the set-up",
        exports.export_config,
        start=(Scope.DATA_EXPORT, Scope.RESOURCE_VIEW),
        read=((Scope.DATA_EXPORT, Scope.RESOURCE_VIEW),),
        file_name="weighbridge.yaml",
        file_type="application/yaml",
    ),
    CHARGES: Kind(
        "Export of charges",
        exports.export_charges,
        start=(Scope.DATA_EXPORT,),
        read=((Scope.DATA_EXPORT,), (Scope.AUDIT_VIEW,)),
        file_name="charges.csv",
        file_type="text/csv",
    ),
    ANSWER: Kind("Answer of a bot", answers.answer, is_shown=False, queue=BOTS),
    NOTICES: Kind("Notices of limits", notices.tell_due, is_shown=False, queue=BOTS),
}
SHOWN = [name for name, kind in KINDS.items() if kind.is_shown]


def may_see_any(principal: Principal) -> bool:
    return principal.may(Scope.RESOURCE_VIEW) or any(kind.may_read(principal) for kind in KINDS.values())


def seen_by(principal: Principal) -> QuerySet[Job]:
    """All that are shown for whoever sees what there is, else those whose file they may read."""
    if principal.may(Scope.RESOURCE_VIEW):
        return Job.objects.exclude(kind__in=KINDS.keys() - SHOWN)
    return Job.objects.filter(kind__in=[name for name, kind in KINDS.items() if kind.may_read(principal)])
