

import accounts.models.limits
import common.fields
import common.money
import django.core.validators
import django.db.models.deletion
import uuid
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_group_codes'),
        ('providers', '0008_reasoning_efforts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='charge',
            name='key',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='charges', to='accounts.apikey'),
        ),
        migrations.AddField(
            model_name='charge',
            name='group_id',
            field=models.BigIntegerField(db_default=0, default=0, help_text="The key's group when it was called; 0: none."),
        ),
        migrations.AddIndex(
            model_name='charge',
            index=models.Index(condition=models.Q(('settled_at__isnull', False)), fields=['settled_at'], name='charge_by_end'),
        ),
        migrations.AddField(
            model_name='charge',
            name='buckets',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text='Parts of these tokens with a price of their own, and requests: [name, quantity, price in 10^-10 USD per million]. A price of null: the usual one of those tokens.'),
        ),
        migrations.AddField(
            model_name='charge',
            name='corrects',
            field=models.ForeignKey(db_index=False, help_text='The call that was rated anew. The fee is what that changed; below zero: given back.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='accounts.charge'),
        ),
        migrations.RemoveConstraint(
            model_name='charge',
            name='charge_not_negative',
        ),
        migrations.AddConstraint(
            model_name='charge',
            constraint=models.CheckConstraint(condition=models.Q(('hold__gte', 0), models.Q(('fee__gte', 0), ('corrects__isnull', False), _connector='OR')), name='charge_not_negative'),
        ),
        migrations.AddIndex(
            model_name='charge',
            index=models.Index(condition=models.Q(('corrects__isnull', False)), fields=['corrects'], name='charge_correction'),
        ),
        migrations.AddField(
            model_name='charge',
            name='limits',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text='What it counted against, before and after.'),
        ),
        migrations.AddField(
            model_name='charge',
            name='price_ratio',
            field=models.DecimalField(db_default=Decimal('1'), decimal_places=4, default=Decimal('1'), help_text='Is in the prices already.', max_digits=8),
        ),
        migrations.AddField(
            model_name='charge',
            name='tags',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text="The caller's own."),
        ),
        migrations.AddField(
            model_name='group',
            name='price_ratio',
            field=models.DecimalField(decimal_places=4, default=Decimal('1'), help_text="What its keys pay, as a multiple of the models' prices.", max_digits=8, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1000)]),
        ),
        migrations.AddField(
            model_name='payment',
            name='charge',
            field=models.ForeignKey(blank=True, help_text='What is refunded.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='accounts.charge'),
        ),
        migrations.AddField(
            model_name='payment',
            name='corrects',
            field=models.ForeignKey(blank=True, help_text='The one that was wrong.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='accounts.payment'),
        ),
        migrations.AddField(
            model_name='payment',
            name='kind',
            field=models.CharField(choices=[('recharge', 'Recharge'), ('redemption', 'Redemption code'), ('refund', 'Refund'), ('correction', 'Correction')], db_default='recharge', default='recharge', max_length=10),
        ),
        migrations.AddField(
            model_name='payment',
            name='made_by_key',
            field=models.ForeignKey(blank=True, help_text='The program that made it.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apikey'),
        ),
        migrations.CreateModel(
            name='Limit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(help_text='What refusals and warnings call it.', max_length=255, unique=True)),
                ('subject', models.CharField(choices=[('everyone', 'Everyone'), ('key', 'API key'), ('group', 'Group'), ('email', "User's e-mail"), ('model', 'Model'), ('provider', 'Provider'), ('tag', 'Tag of the request')], default='everyone', max_length=8)),
                ('value', models.CharField(blank=True, help_text="An e-mail address, a model's public name or a tag. Subject and all empty: each has its own count.", max_length=255)),
                ('metric', models.CharField(choices=[('cost', 'Cost in USD'), ('requests', 'Requests'), ('input_tokens', 'Input tokens'), ('output_tokens', 'Output tokens'), ('tokens', 'Tokens'), ('parallel', 'Parallel calls')], default='cost', max_length=16)),
                ('window', models.CharField(choices=[('second', 'A second'), ('minute', 'A minute'), ('hour', 'An hour'), ('day', 'A day'), ('week', 'A week'), ('month', 'A month'), ('total', 'In total')], default='month', max_length=8)),
                ('is_sliding', models.BooleanField(default=False, help_text="Counts the latest minute, hour and so on, not the calendar's.", verbose_name='sliding')),
                ('most_cost', common.money.MoneyField(blank=True, help_text='For a limit of cost.', null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='most, in USD')),
                ('most_count', models.PositiveBigIntegerField(blank=True, help_text='Requests, tokens or parallel calls, for the other limits.', null=True, verbose_name='most')),
                ('action', models.CharField(choices=[('block', 'Refuse calls beyond it'), ('warn', 'Warn'), ('observe', 'Count only')], default='block', max_length=8)),
                ('thresholds', models.JSONField(blank=True, default=accounts.models.limits.usual_thresholds, help_text='Per cent at which somebody is told, once in each window.')),
                ('notify_url', models.URLField(blank=True, max_length=500, verbose_name='tell this webhook')),
                ('notify_secret', common.fields.EncryptedTextField(blank=True, default='', verbose_name="the webhook's secret")),
                ('notify_email', models.EmailField(blank=True, max_length=254, verbose_name='tell this address')),
                ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='limits', to='accounts.group')),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='limits', to='accounts.apikey')),
                ('provider', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='limits', to='providers.provider')),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='LimitCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('member', models.CharField(blank=True, help_text='Whose, where each has a count of its own.', max_length=255)),
                ('starts_at', models.DateTimeField(db_index=True)),
                ('used', models.BigIntegerField(db_default=0, default=0, help_text='10^-10 USD, or a count.')),
                ('held', models.BigIntegerField(db_default=0, default=0, help_text='By calls that run.')),
                ('limit', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='counters', to='accounts.limit')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='LimitNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('member', models.CharField(blank=True, max_length=255)),
                ('starts_at', models.DateTimeField()),
                ('percent', models.PositiveSmallIntegerField()),
                ('used', models.BigIntegerField(help_text='10^-10 USD, or a count, when it was reached.')),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(help_text='When it is told, or tried again; none: that is over.', null=True)),
                ('told_at', models.DateTimeField(help_text='To all who are to be told.', null=True)),
                ('posted_at', models.DateTimeField(null=True)),
                ('mailed_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('error', models.CharField(blank=True, db_default='', max_length=500)),
                ('limit', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='accounts.limit')),
            ],
            options={
                'ordering': ('-id',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='RedemptionCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('batch', models.CharField(db_index=True, help_text='What those made together are called.', max_length=64)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('prefix', models.CharField(editable=False, help_text='Its start, to recognise it by.', max_length=16)),
                ('amount', common.money.MoneyField(help_text='USD.', validators=[django.core.validators.MinValueValidator(0)])),
                ('expires_at', models.DateTimeField(blank=True, help_text='Empty: never.', null=True)),
                ('is_void', models.BooleanField(default=False, help_text='Nobody can redeem it any more.', verbose_name='void')),
                ('redeemed_at', models.DateTimeField(editable=False, null=True)),
                ('made_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('payment', models.OneToOneField(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='code', to='accounts.payment')),
                ('redeemed_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='accounts.apikey')),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='DayOfSpend',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('group_id', models.BigIntegerField(db_default=0, default=0, help_text="The key's group then; 0: none.")),
                ('model_name', models.CharField(max_length=255)),
                ('provider_name', models.CharField(max_length=255)),
                ('tags', models.CharField(blank=True, db_default='', help_text='In order, with commas between.', max_length=500)),
                ('calls', models.BigIntegerField(db_default=0, default=0)),
                ('failed', models.BigIntegerField(db_default=0, default=0, help_text='Those that failed here or at the upstream.')),
                ('input_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('cached_read_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('cached_write_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('output_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('reasoning_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('fee', common.money.MoneyField(db_default=0, default=0)),
                ('quota_fee', common.money.MoneyField(db_default=0, default=0)),
                ('balance_fee', common.money.MoneyField(db_default=0, default=0)),
                ('shortfall', common.money.MoneyField(db_default=0, default=0)),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='days', to='accounts.apikey')),
            ],
            options={
                'verbose_name_plural': 'days of spend',
                'default_permissions': (),
                'indexes': [models.Index(fields=['key', 'day'], name='dayofspend_by_key')],
                'constraints': [models.UniqueConstraint(fields=('day', 'key', 'group_id', 'model_name', 'provider_name', 'tags'), name='dayofspend_once')],
            },
        ),
        migrations.AddConstraint(
            model_name='limit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('metric', 'cost'), ('most_cost__isnull', False), ('most_count', None)), models.Q(models.Q(('metric', 'cost'), _negated=True), ('most_cost', None), ('most_count__isnull', False)), _connector='OR'), name='limit_has_its_amount'),
        ),
        migrations.AddConstraint(
            model_name='limitcounter',
            constraint=models.UniqueConstraint(fields=('limit', 'member', 'starts_at'), name='limitcounter_once'),
        ),
        migrations.AddIndex(
            model_name='limitnotice',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='limitnotice_due'),
        ),
        migrations.AddConstraint(
            model_name='limitnotice',
            constraint=models.UniqueConstraint(fields=('limit', 'member', 'starts_at', 'percent'), name='limitnotice_once'),
        ),
        migrations.AddConstraint(
            model_name='redemptioncode',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='redemptioncode_amount_above_zero'),
        ),
        migrations.AddConstraint(
            model_name='redemptioncode',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('payment', None), ('redeemed_at', None), ('redeemed_by', None)), models.Q(('payment__isnull', False), ('redeemed_at__isnull', False), ('redeemed_by__isnull', False)), _connector='OR'), name='redemptioncode_redeemed_whole'),
        ),
        migrations.AddField(
            model_name='payment',
            name='who',
            field=models.CharField(blank=True, db_default='', help_text='As they were called then, should they go.', max_length=255, verbose_name='made by'),
        ),
        migrations.CreateModel(
            name='WrongCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField()),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.apikey')),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
