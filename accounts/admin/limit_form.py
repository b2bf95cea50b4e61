"""The form of a limit: it shows the inputs that its subject and its metric need, and never the webhook's secret."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldAdminURLInputWidget

from accounts.models import Limit, Metric, Subject
from accounts.models.limits import NAMED_BY_VALUE, SUBJECT_COLUMNS
from accounts.services import notices
from common.console import ModelForm

BETWEEN = re.compile(r"[\s,;%]+")
NO_MAIL = "No mail can be sent as yet: set EMAIL_URL (see the README)."


class ThresholdsField(forms.CharField):
    """`80, 100` for a list of whole numbers."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        texts = [text for text in BETWEEN.split(value or "") if text]
        if not all(text.isdecimal() and text.isascii() and len(text) < 6 for text in texts):
            raise ValidationError("Give whole numbers, such as 80, 100.", code="invalid")
        return sorted({int(text) for text in texts})

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)


class LimitForm(ModelForm):
    """What is not shown does not count: it is emptied."""

    thresholds = ThresholdsField(
        required=False,
        initial=[80, 100],
        widget=UnfoldAdminTextInputWidget,
        help_text="Per cent at which somebody is told, once in each window; of a second's or a minute's, once an hour.",
    )
    notify_url = forms.URLField(
        label="Tell this webhook",
        required=False,
        max_length=500,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
    )
    # Not the model's own field: a form reads those, and what the keyring can't open must still be replaceable.
    new_secret = forms.CharField(
        label="The webhook's secret",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="whsec_ and base64, as Standard Webhooks have it. This makes one: openssl rand -base64 24",
    )

    class Meta:
        model = Limit
        fields = ("name",)  # the page names the others

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "new_secret" in self.fields and notices.has_secret(self.instance):
            self.fields["new_secret"].widget.attrs["placeholder"] = "Empty: as it is"
        if "most_cost" in self.fields:
            self.fields["most_cost"].help_text = ""
        if "most_count" in self.fields:
            self.fields["most_count"].help_text = "Requests, tokens or parallel calls."
        if "notify_email" in self.fields and not settings.EMAIL_URL:
            self.fields["notify_email"].help_text = NO_MAIL

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, empty in self._hidden(cleaned):
            self.errors.pop(name, None)
            cleaned[name] = empty
        self._take_secret(cleaned)
        return cleaned

    def _hidden(self, cleaned: dict[str, Any]) -> list[tuple[str, Any]]:
        """What a new limit with this subject and metric has no input for."""
        if "subject" not in self.fields:
            return []
        subject, metric = cleaned.get("subject"), cleaned.get("metric")
        hidden: list[tuple[str, Any]] = [(column, None) for of, column in SUBJECT_COLUMNS.items() if of != subject]
        hidden += [] if subject in NAMED_BY_VALUE else [("value", "")]
        hidden += [("most_count" if metric == Metric.COST else "most_cost", None)]
        is_endless = metric == Metric.PARALLEL or cleaned.get("window") == "total"
        return [*hidden, *([("is_sliding", False)] if is_endless else [])]

    def _take_secret(self, cleaned: dict[str, Any]) -> None:
        """A new one is stored; without an address there is nothing to sign."""
        secret = cleaned.get("new_secret", "")
        if not cleaned.get("notify_url"):
            self.instance.notify_secret = ""
        elif secret or not notices.has_secret(self.instance):
            try:
                notices.check_secret(secret)
            except ValidationError as error:
                self.add_error("new_secret", error)
            self.instance.notify_secret = secret


def subject_from(values: Any) -> str:
    """Which subject a link to the form means, such as `?key=7`."""
    return next((subject.value for subject, column in SUBJECT_COLUMNS.items() if values.get(column)), Subject.EVERYONE)
