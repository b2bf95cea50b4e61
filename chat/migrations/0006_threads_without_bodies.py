from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("chat", "0005_move_bodies")]

    operations = [
        migrations.RemoveField(model_name="thread", name=name)
        for name in ("prompt", "messages", "completion", "reasoning", "tool_calls")
    ]
