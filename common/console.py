"""What the console's pages share: a typed base over unfold, lists without COUNT(*), and money as people read it."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold import decorators
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.paginator import InfinitePaginator
from unfold.utils import parse_date_str
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from common.money import DECIMALS, MoneyField

if TYPE_CHECKING:  # unfold has no types; its classes are Django's, with more attributes
    from django.contrib.admin import ModelAdmin as DjangoModelAdmin
    from django.contrib.admin import TabularInline as DjangoTabularInline
    from django.forms import ModelForm as DjangoModelForm

    ModelAdmin = DjangoModelAdmin[Any]
    TabularInline = DjangoTabularInline[Any, Any]
    ModelForm = DjangoModelForm[Any]
else:
    from django.forms import ModelForm  # noqa: F401  # for the forms of all apps
    from unfold.admin import ModelAdmin, TabularInline  # noqa: F401

Method = TypeVar("Method", bound=Callable[..., Any])


def display(description: str, **options: Any) -> Callable[[Method], Method]:
    """unfold's column decorator, typed."""
    return decorators.display(description=description, **options)  # type: ignore[no-any-return]


def action(description: str, **options: Any) -> Callable[[Method], Method]:
    """unfold's button decorator, typed."""
    return decorators.action(description=description, **options)  # type: ignore[no-any-return]


def money(amount: Decimal | None, empty: str = "–") -> str:
    """An amount as `$1,234.50`: at least two decimals, no needless zeros, never rounded."""
    if amount is None:
        return empty
    whole, _, decimals = f"{abs(amount):,.{DECIMALS}f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{decimals.rstrip('0'):0<2}"


CENT, LEAST = Decimal("0.01"), Decimal("0.0001")


def glance(amount: Decimal, rounding: str = ROUND_HALF_UP) -> str:
    """Money among other figures: cents, or four decimals where cents would say nothing."""
    if 0 < amount < LEAST:
        return f"<${LEAST}"
    return money(amount.quantize(CENT if abs(amount) >= 1 else LEAST, rounding))


def funds(amount: Decimal) -> str:
    """What can still be spent, at a glance: never more than there is."""
    return glance(amount, ROUND_DOWN)


def moment(value: datetime | None, empty: str = "–") -> str:
    """A time in the gateway's zone, one way on every page."""
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}" if value else empty


def seconds(milliseconds: int | None) -> str:
    """How long something took."""
    return "–" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def time_column(field: str, description: str) -> Callable[[Any], str]:
    """A list's column for a time."""

    @display(description=description, ordering=field)
    def column(row: Any) -> str:
        return moment(getattr(row, field))

    column.__name__ = field  # names the cell's class
    return column


class MoneyInput(UnfoldAdminDecimalFieldWidget):  # type: ignore[misc]  # unfold has no types
    """A number field that shows 10, not 10.0000000000, and steps by cents."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({**(attrs or {}), "step": "any", "inputmode": "decimal"})

    def format_value(self, value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else super().format_value(value)


class ConsoleAdmin(ModelAdmin):
    """The console's base: money inputs, and no list without its relations."""

    formfield_overrides = {
        MoneyField: {"widget": MoneyInput},
    }
    list_filter_sheet = False
    list_per_page = 50
    only_chosen: tuple[str, ...] = ()  # fields whose rows its form is no place to make, edit or look at

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        for name in form.base_fields.keys() & self.only_chosen:
            widget: Any = form.base_fields[name].widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        return form


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that only the gateway itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class BigTableAdmin(ReadOnlyAdmin):
    """A table that grows with every call: counting it would read all of it."""

    show_full_result_count = False
    paginator = InfinitePaginator
    list_disable_select_all = True
    sortable_by = ()


class DaysFilter(RangeDateFilter):  # type: ignore[misc]  # unfold has no types
    """From one day to another, both included, in the gateway's time zone; unfold's own knows no zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = _midnight(self.used_parameters.get(f"{self.parameter_name}_from"))
        until = _midnight(self.used_parameters.get(f"{self.parameter_name}_to"), days=1)
        if since:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": since})
        return queryset.filter(**{f"{self.parameter_name}__lt": until}) if until else queryset


def _midnight(text: str | None, days: int = 0) -> datetime | None:
    """The start of a day, or of one that many days later; what can't be a day is no filter."""
    day = parse_date_str(text)
    if day is None:
        return None
    try:
        return timezone.make_aware(datetime.combine(day + timedelta(days=days), time())).astimezone(UTC)
    except (OverflowError, ValueError):  # before the year 1 or after 9999, here or in UTC
        return None
