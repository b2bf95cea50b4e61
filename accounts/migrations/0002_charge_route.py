from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_keys_and_ledger'),
    ]

    operations = [
        migrations.AddField(
            model_name='charge',
            name='route',
            field=models.CharField(blank=True, help_text='Where it was sent in turn, and why it went on.', max_length=500),
        ),
        migrations.AlterField(
            model_name='charge',
            name='attempts',
            field=models.PositiveSmallIntegerField(default=1, help_text='Requests sent to upstreams.'),
        ),
    ]
