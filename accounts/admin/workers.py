"""The processes that hold money for running calls: who lives, and who is suspected to be gone."""

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from accounts.models import State, Worker
from common.console import ReadOnlyAdmin, time_column


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Written by the ledger; a sweep removes those that are gone."""

    list_display = (
        "uuid",
        "identity",
        time_column("seen_at", "last heartbeat"),
        time_column("suspected_at", "suspected since"),
        "open_holds",
    )
    list_filter = ("seen_at",)
    search_fields = ("uuid", "identity")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        rows: QuerySet[Worker] = super().get_queryset(request)
        return rows.annotate(held=Count("charges", filter=Q(charges__state=State.HELD)))

    @admin.display(description="running calls")
    def open_holds(self, worker: Worker) -> int:
        held: int = getattr(worker, "held", 0)
        return held
