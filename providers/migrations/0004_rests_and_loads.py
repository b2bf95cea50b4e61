import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('providers', '0003_retries_and_disconnects'),
    ]

    operations = [
        migrations.CreateModel(
            name='Load',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('worker', models.UUIDField()),
                ('running', models.PositiveIntegerField(default=0)),
                ('minute', models.BigIntegerField(help_text='Minutes since 1970 that the next two count.')),
                ('requests', models.PositiveIntegerField(default=0)),
                ('tokens', models.PositiveBigIntegerField(default=0)),
                ('seen_at', models.DateTimeField()),
                ('model', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='providers.aimodel')),
            ],
            options={
                'ordering': ('id',),
                'constraints': [models.UniqueConstraint(fields=('worker', 'model'), name='load_once')],
            },
        ),
        migrations.CreateModel(
            name='Rest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('until', models.DateTimeField(help_text='From then on one call at a time tries it again.')),
                ('reason', models.CharField(max_length=500)),
                ('code', models.CharField(help_text="The failure's code, such as rate_limit_exceeded.", max_length=64)),
                ('failures', models.PositiveIntegerField(default=1, help_text='In a row.')),
                ('is_firm', models.BooleanField(default=False, help_text='Not called before then, even if nothing else is left.')),
                ('since', models.DateTimeField()),
                ('key', models.ForeignKey(db_constraint=False, help_text='Empty: all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rests', to='providers.providerkey')),
                ('model', models.ForeignKey(db_constraint=False, help_text='Empty: all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rests', to='providers.aimodel')),
            ],
            options={
                'verbose_name_plural': 'resting',
                'ordering': ('-since',),
                'constraints': [models.UniqueConstraint(fields=('model', 'key'), name='rest_once_per_pair'), models.UniqueConstraint(condition=models.Q(('key', None)), fields=('model',), name='rest_once_per_model'), models.UniqueConstraint(condition=models.Q(('model', None)), fields=('key',), name='rest_once_per_key'), models.CheckConstraint(condition=models.Q(('model__isnull', False), ('key__isnull', False), _connector='OR'), name='rest_of_something')],
            },
        ),
    ]
