"""Models: each row's one object of settings goes the way that it goes when a program saves it."""

import json
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from common.fields import Numbers
from common.money import TOKENS_PER_PRICE
from common.objects import parse_object
from gateway.dialects.brconnector.models import PROGRAM
from gateway.dialects.service import has_null_character
from gateway.moving.move import Move
from gateway.moving.source import ModelRow
from providers.models import AIModel
from providers.services import flat

TABLE = "eiai_model"
MODELS_PER_BATCH = 100
CONVERSE = "bedrock-converse"
# Ids of earlier versions, each for one maker's models on Bedrock. Of their settings these mean the same today.
FORMER = ("bedrock-claude3", "bedrock-mistral", "bedrock-llama3")
FORMER_SETTINGS = ("modelId", "regions", "maxTokens", "credentials")
PROVIDER_IN_CONFIG = "provider"  # where older versions kept it


def move_models(move: Move) -> None:
    move.progress.begin("models", move.source.count(TABLE))
    for page in move.source.pages(TABLE, ModelRow, MODELS_PER_BATCH):
        uuids = {move.identity(TABLE, row.id): row.id for row in page}
        here = dict(AIModel.objects.filter(uuid__in=uuids).values_list("uuid", "id"))
        for row in page:
            move.model_names[row.id] = row.name or ""
            model_id = here.get(move.identity(TABLE, row.id))
            if model_id is None:
                _add(move, row)
            else:
                move.models[row.id] = model_id
                move.report.here(TABLE)
        move.progress.advance(len(page))


def _add(move: Move, row: ModelRow) -> None:
    try:
        model_id = _stored(move, row)
    except ValidationError as error:
        move.report.left_out(TABLE, row.id, " ".join(error.messages), row.name or "")
        return
    move.models[row.id] = model_id
    move.report.added(TABLE)


@transaction.atomic
def _stored(move: Move, row: ModelRow) -> int:
    """In a dry run it is stored and taken back, as nothing else says whether it can be. Raises ValidationError."""
    if not row.name:
        raise ValidationError("it has no name")
    if AIModel.objects.filter(name=row.name).exists():
        raise ValidationError("a model of its name is here already; it stays as it is, and gets none of the grants")
    provider_id, config = _settings(move, row)
    model = AIModel(
        uuid=move.identity(TABLE, row.id),
        name=row.name,
        is_multimodal=bool(row.multiple),
    )
    model.price_in, model.price_out = _price(row.price_in), _price(row.price_out)
    flat.store(model=model, provider_id=provider_id, config=config, program=PROGRAM)
    if move.is_dry:
        transaction.set_rollback(True)
        return 0
    return model.pk


def _price(price: Decimal | None) -> Decimal:
    """From USD per token to USD per million."""
    return (price or Decimal(0)) * TOKENS_PER_PRICE


def _settings(move: Move, row: ModelRow) -> tuple[str, dict[str, Any]]:
    """Its provider id and its object as they are written today. Raises ValidationError."""
    config = _object(row.config)
    named = row.provider or config.pop(PROVIDER_IN_CONFIG, None) or ""
    config.pop(PROVIDER_IN_CONFIG, None)
    is_former = named in FORMER
    if (is_former or not named) and config.get("modelId"):
        move.report.odd(TABLE, row.id, f"its provider is {CONVERSE} now", f"{row.name}, {named or 'without one'}")
        named = CONVERSE
        config = {name: config[name] for name in FORMER_SETTINGS if name in config} if is_former else config
    if not named:
        raise ValidationError("it has no provider")
    return str(named), config


def _object(text: str | None) -> dict[str, Any]:
    """Some hold their JSON as a text within JSON. What no program could send can't be kept."""
    try:
        found = json.loads(text or "{}", cls=Numbers)
        found = json.loads(found, cls=Numbers) if isinstance(found, str) else found
        parse_object(json.dumps(found))
    except (ValueError, RecursionError):
        raise ValidationError("its config is no JSON object, or none that can be kept") from None
    if has_null_character(found):
        raise ValidationError("its config has null characters")
    return dict(found)
