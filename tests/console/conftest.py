import pytest
from django.test import Client

from accounts.models import User
from common.models import ConfigVersion


@pytest.fixture
def admin(db: None) -> User:
    ConfigVersion.objects.get_or_create(pk=1)
    return User.objects.create_superuser("operator", password="a long password")


@pytest.fixture
def console(admin: User) -> Client:
    """A browser that is logged in."""
    client = Client()
    client.force_login(admin)
    return client
