"""An administrator, and a model."""

import pytest

from providers.models import AIModel
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.brconnector.api import Api, admin


@pytest.fixture
def api(database: None) -> Api:
    return admin()


@pytest.fixture
def model(database: None, upstream: FakeOpenAI) -> AIModel:
    return factories.model(factories.provider(upstream))
