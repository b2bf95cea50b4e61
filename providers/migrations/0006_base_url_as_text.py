import providers.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('providers', '0005_requester_names'),
    ]

    operations = [
        migrations.AlterField(
            model_name='provider',
            name='base_url',
            field=models.CharField(blank=True, help_text="Such as https://api.openai.com/v1. Empty: the vendor's own.", max_length=500, validators=[providers.models.check_base_url], verbose_name='base URL'),
        ),
    ]
