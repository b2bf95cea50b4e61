import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('providers', '0001_providers_and_models'),
    ]

    operations = [
        migrations.AddField(
            model_name='aimodel',
            name='allows_other_upstream',
            field=models.BooleanField(default=False, help_text="“name/upstream-model” may call models of the provider that have no row here, at this one's price.", verbose_name='other upstream models'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='context_fallbacks',
            field=models.JSONField(blank=True, default=list, help_text='Models to try when the prompt is too long for this one.', verbose_name='fallbacks for long prompts'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='fallbacks',
            field=models.JSONField(blank=True, default=list, help_text='Models to try when this one fails, such as ["gpt-4o-mini"].', verbose_name='fallbacks'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='filter_fallbacks',
            field=models.JSONField(blank=True, default=list, help_text="Models to try when the vendor's filter refuses.", verbose_name='fallbacks for filtered content'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='is_hedged',
            field=models.BooleanField(default=False, help_text='Ask a second deployment when the first is slower than it usually is: both may cost at the vendor.', verbose_name='hedged'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='max_parallel',
            field=models.PositiveIntegerField(blank=True, help_text='Empty: no ceiling.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='parallel calls'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='max_rpm',
            field=models.PositiveIntegerField(blank=True, help_text='Empty: no ceiling.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='requests a minute'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='max_tpm',
            field=models.PositiveIntegerField(blank=True, help_text='Empty: no ceiling.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='tokens a minute'),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='strategy',
            field=models.CharField(choices=[('weighted', 'By weight'), ('least_busy', 'The least busy first'), ('lowest_latency', 'The quickest to answer first'), ('lowest_cost', 'The cheapest first'), ('sticky', "The same for a session (keeps the vendor's prompt cache warm)")], default='weighted', help_text='Among models of the same name; the one with the lowest priority value decides for all.', max_length=16),
        ),
        migrations.AddField(
            model_name='aimodel',
            name='unknown_params',
            field=models.CharField(choices=[('drop', 'Leave out, and name them in a response header'), ('report', 'Leave out, and write them down with the charge, too'), ('refuse', 'Refuse the call')], default='drop', max_length=8, verbose_name='unknown parameters'),
        ),
        migrations.AlterField(
            model_name='aimodel',
            name='kind',
            field=models.CharField(choices=[('llm', 'Language model'), ('embedding', 'Embedding'), ('rerank', 'Rerank'), ('image', 'Image generation'), ('speech', 'Speech'), ('transcription', 'Transcription'), ('moderation', 'Moderation')], default='llm', max_length=16),
        ),
    ]
