"""The one row of the version table; readers expect it."""

from django.db import migrations


def make(apps, schema_editor):
    apps.get_model("common", "ConfigVersion").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("common", "0001_configuration_version")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
