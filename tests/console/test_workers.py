"""The list of processes."""

from django.test import Client
from django.utils import timezone

from accounts.models import User, Worker


def test_an_operator_sees_who_lives_and_can_change_nothing(db: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password="x"))
    worker = Worker.objects.create(identity="boot/pid:[1]/7/1", seen_at=timezone.now())
    page = client.get("/admin/accounts/worker/")
    assert "boot/pid:[1]/7/1" in page.content.decode()
    assert client.get("/admin/accounts/worker/add/").status_code == 403
    assert client.post(f"/admin/accounts/worker/{worker.pk}/delete/", {"post": "yes"}).status_code == 403
