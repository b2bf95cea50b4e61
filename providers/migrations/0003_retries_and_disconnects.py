import django.core.validators
from django.db import migrations, models

import providers.models


class Migration(migrations.Migration):

    dependencies = [
        ('providers', '0002_routes'),
    ]

    operations = [
        migrations.AddField(
            model_name='provider',
            name='on_disconnect',
            field=models.CharField(choices=[('cancel', "Cancel the upstream's answer"), ('drain', "Read the answer to its end, for the upstream's own figures")], default='cancel', max_length=8, verbose_name='when the caller leaves'),
        ),
        migrations.AddField(
            model_name='provider',
            name='retries',
            field=models.PositiveSmallIntegerField(default=2, help_text='How often a call is tried again here after a failure that may pass, with growing pauses.', validators=[django.core.validators.MaxValueValidator(5)]),
        ),
        migrations.AddField(
            model_name='providerkey',
            name='weight',
            field=models.PositiveSmallIntegerField(default=1, help_text="Share of the calls among this provider's keys; 0 is the last resort."),
        ),
        migrations.AlterField(
            model_name='provider',
            name='base_url',
            field=models.URLField(blank=True, help_text="Such as https://api.openai.com/v1. Empty: the vendor's own.", max_length=500, validators=[providers.models.check_base_url], verbose_name='base URL'),
        ),
    ]
