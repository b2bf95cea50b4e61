"""What only the composition root can put into the console."""

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django_tasks_db.models import DBTaskResult

from accounts.admin.charges import ChargeAdmin
from accounts.models import Charge, Limit
from common.console import ModelAdmin, time_column
from common.models import Job
from gateway.console.limits import ToldLimitAdmin
from gateway.console.probes import TestedModelAdmin, TestedProviderAdmin
from gateway.console.starting import TaskButtons
from gateway.console.tasks import JobAdmin
from providers.admin import RestAdmin
from providers.models import AIModel, Provider, Rest

admin.site.register(Provider, TestedProviderAdmin)
admin.site.register(AIModel, TestedModelAdmin)
admin.site.register(Rest, RestAdmin)
admin.site.register(Limit, ToldLimitAdmin)
admin.site.register(Job, JobAdmin)
admin.site.unregister([AccessAttempt, AccessLog, AccessFailureLog, DBTaskResult, Charge])


@admin.register(Charge)
class ExportedChargeAdmin(TaskButtons, ChargeAdmin):
    actions_list = ("export_charges",)


@admin.register(AccessAttempt)
class AttemptAdmin(AccessAttemptAdmin, ModelAdmin):  # type: ignore[misc]  # axes has no types
    """Failed log-ins; removing one lets its person try again before the lock runs out."""

    date_hierarchy = None
    list_display = (time_column("attempt_time", "time"), "username", "ip_address", "failures_since_start", "status")
