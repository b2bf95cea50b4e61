"""Requesters go by the names that other gateways' users know; the former ones stay as aliases."""

from django.db import migrations
from django.db.models import F

NEW_NAMES = {
    "openai": "openai-chat-completions",
    "anthropic": "anthropic-messages",
    "deepseek": "deepseek-chat-completions",
}


def rename(apps, names):
    providers = apps.get_model("providers", "Provider").objects
    count = sum(providers.filter(requester=before).update(requester=after) for before, after in names.items())
    if count:  # processes that are running take notice
        apps.get_model("common", "ConfigVersion").objects.filter(pk=1).update(number=F("number") + 1)


def forwards(apps, schema_editor):
    rename(apps, NEW_NAMES)


def backwards(apps, schema_editor):
    rename(apps, {after: before for before, after in NEW_NAMES.items()})


class Migration(migrations.Migration):

    dependencies = [
        ("providers", "0004_rests_and_loads"),
        ("common", "0002_first_version"),
    ]

    operations = [migrations.RunPython(forwards, backwards)]
