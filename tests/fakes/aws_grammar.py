"""What Bedrock's Converse and InvokeModel (Titan) accept, as far as the gateway uses them; the rest is a Violation.

The shapes are botocore's own service model, walked to the leaves; the rules about turns are from docs.aws.amazon.com
(bedrock/latest/APIReference/API_runtime_Message, userguide: tool-use, prompt-caching, model-parameters-titan-embed-
text, claude-messages-extended-thinking) and from the messages of the refusals.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape

from tests.fakes.server import JSON, Violation

KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "blob": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float),
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict),
    "structure": lambda value: isinstance(value, dict),
}
# Who may say what; where nothing is said, both.
SPEAKERS = {
    "toolUse": "assistant",
    "reasoningContent": "assistant",
    "toolResult": "user",
    "image": "user",
    "document": "user",
    "audio": "user",
}
DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[A-Za-z0-9\s()\[\]-]+")
MAX_IMAGES, MAX_DOCUMENTS, MAX_CACHE_POINTS = 20, 5, 4
CLAUDE_FIELDS = frozenset({"anthropic_beta", "output_config", "thinking", "top_k"})
# Models that cache, as far as the fake has them.
CACHING = ("anthropic.", "amazon.nova", "arn:")


@lru_cache
def service(name: str = "bedrock-runtime") -> ServiceModel:
    return botocore.session.get_session().get_service_model(name)


def check(holds: object, message: str) -> None:
    if not holds:
        raise Violation(message)


def check_converse(body: JSON, model: str) -> None:
    check_shape(service().shape_for("ConverseRequest"), {"modelId": model, **body}, "$")
    check("modelId" not in body, "modelId stands in the path")
    _check_messages(body.get("messages"), is_claude="anthropic" in model)
    _check_system(body.get("system", []))
    _check_tools(body)
    _check_caching(body, model)
    if "anthropic" in model:
        _check_claude(body, model)


def check_titan(body: JSON, model: str) -> None:
    """model-parameters-titan-embed-text: V1 takes nothing but the text."""
    allowed = {"inputText", "dimensions", "normalize", "embeddingTypes"} if "-v2" in model else {"inputText"}
    check(body.keys() <= allowed, f"extraneous key [{', '.join(sorted(body.keys() - allowed))}] is not permitted")
    text = body.get("inputText")
    check(isinstance(text, str) and text, "expected minLength: 1, actual: 0, for inputText")
    check(body.get("dimensions", 256) in (256, 512, 1024), "dimensions must be 256, 512 or 1024")
    check(isinstance(body.get("normalize", True), bool), "normalize must be a boolean")


def check_multimodal(body: JSON) -> None:
    """model-parameters-titan-embed-mm."""
    check(body.keys() <= {"inputText", "inputImage", "embeddingConfig"}, "extraneous key is not permitted")
    check(body.keys() & {"inputText", "inputImage"}, "at least one of inputText and inputImage is required")
    config = body.get("embeddingConfig", {"outputEmbeddingLength": 1024})
    check(config.keys() == {"outputEmbeddingLength"}, "embeddingConfig: extraneous key is not permitted")
    check(config["outputEmbeddingLength"] in (256, 384, 1024), "outputEmbeddingLength must be 256, 384 or 1024")


def check_cohere(body: JSON, model: str) -> None:
    """model-parameters-embed: at most 96 texts; and -embed-v4, which alone lets the length be chosen."""
    lengths = {"output_dimension"} if "embed-v4" in model else set()
    allowed = {"texts", "input_type", "truncate", "embedding_types"} | lengths
    check(body.keys() <= allowed, f"extraneous key {sorted(body.keys() - allowed)} is not permitted")
    texts = body.get("texts")
    check(isinstance(texts, list) and 0 < len(texts) <= 96, "texts: from 1 to 96")
    check(all(isinstance(text, str) for text in texts or []), "texts: strings only")
    kinds = ("search_document", "search_query", "classification", "clustering")
    check(body.get("input_type") in kinds, "input_type is required")
    check(body.get("output_dimension", 256) in (256, 512, 1024, 1536), "output_dimension: invalid")


# The service model


def check_shape(shape: Shape, value: Any, where: str) -> None:
    if getattr(shape, "is_document_type", False):
        check(isinstance(value, dict), f"{where}: a document must be an object")
        return
    check(KINDS[shape.type_name](value), f"{where}: not of type {shape.type_name}")
    _check_limits(shape, value, where)
    if walk := WALKS.get(shape.type_name):
        walk(shape, value, where)


def _check_limits(shape: Any, value: Any, where: str) -> None:
    limits = shape.metadata
    measured = value if isinstance(value, int | float) else len(value)
    check(measured >= limits.get("min", measured), f"{where}: less than {limits.get('min')}")
    check(measured <= limits.get("max", measured), f"{where}: more than {limits.get('max')}")
    check(value in limits["enum"] if "enum" in limits else True, f"{where}: {value!r} is none of {limits.get('enum')}")
    pattern = limits.get("pattern")
    check(re.fullmatch(pattern, value) if pattern else True, f"{where}: does not match {pattern}")


def _structure(shape: Any, value: JSON, where: str) -> None:
    check(value.keys() <= shape.members.keys(), f"{where}: extraneous {sorted(value.keys() - shape.members.keys())}")
    missing = set(shape.metadata.get("required", ())) - value.keys()
    check(not missing, f"{where}: {sorted(missing)} must not be null")
    check(len(value) == 1 if shape.metadata.get("union") else True, f"{where}: exactly one member must be set")
    for name, inner in value.items():
        check_shape(shape.members[name], inner, f"{where}.{name}")


def _list(shape: Any, value: list[Any], where: str) -> None:
    for index, inner in enumerate(value):
        check_shape(shape.member, inner, f"{where}[{index}]")


def _map(shape: Any, value: JSON, where: str) -> None:
    for name, inner in value.items():
        check_shape(shape.key, name, where)
        check_shape(shape.value, inner, f"{where}.{name}")


def _blob(shape: Any, value: str, where: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise Violation(f"{where}: not base64") from None


WALKS: dict[str, Callable[[Any, Any, str], None]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "blob": _blob,
}


# Turns


def _check_messages(messages: Any, *, is_claude: bool) -> None:
    check(messages, "messages: at least one message is required")
    expected: list[str] = []
    for index, message in enumerate(messages):
        role, blocks, where = message["role"], message["content"], f"messages.{index}"
        check(index or role == "user", "A conversation must start with a user message.")
        check(role == ("user", "assistant")[index % 2], f"{where}: roles must alternate between user and assistant")
        check(blocks, f"{where}: The content field in the Message object is empty")
        for block in blocks:
            _check_block(block, role, where, is_claude=is_claude)
        _check_results(blocks, expected, where)
        _check_files(blocks, where)
        expected = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        check(len(expected) == len(set(expected)), f"{where}: toolUse ids must be unique")
    check(messages[-1]["role"] == "user", "This model does not support assistant message prefill")


def _check_block(block: JSON, role: str, where: str, *, is_claude: bool) -> None:
    [(kind, inner)] = block.items()
    check(SPEAKERS.get(kind, role) == role, f"{where}: {kind} is not permitted in {role} turns")
    check(inner.strip() if kind == "text" else True, f"{where}: The text field in the ContentBlock object is blank")
    if kind == "reasoningContent" and is_claude and "reasoningText" in inner:
        check(inner["reasoningText"].get("signature"), f"{where}: thinking.signature: Field required")
    if kind == "toolResult":
        texts = [part["text"] for part in inner["content"] if "text" in part]
        check(all(text.strip() for text in texts), f"{where}: The text field of a toolResult is blank")


def _check_results(blocks: list[JSON], expected: list[str], where: str) -> None:
    """Each call is answered in the very next turn, once, and before anything else there."""
    found = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    check(
        len(found) == len(set(found)) and set(found) == set(expected),
        f"{where}: the toolResult blocks do not match the toolUse blocks of the previous turn",
    )
    check(all("toolResult" in block for block in blocks[: len(found)]), f"{where}: toolResult must come first")


def _check_files(blocks: list[JSON], where: str) -> None:
    documents = [block["document"] for block in blocks if "document" in block]
    names = [document["name"] for document in documents]
    has_text = any("text" in block for block in blocks)
    check(not documents or has_text, f"{where}: a document needs a text block beside it")
    check(all(DOCUMENT_NAME.fullmatch(name) for name in names), f"{where}: a document's name has other characters")
    check(len(names) == len(set(names)), f"{where}: duplicate document names")
    check(len(documents) <= MAX_DOCUMENTS, f"{where}: too many documents")
    check(sum("image" in block for block in blocks) <= MAX_IMAGES, f"{where}: too many images")


def _check_system(system: list[JSON]) -> None:
    check(all(block["text"].strip() for block in system if "text" in block), "system: text must not be blank")


# Tools


def _check_tools(body: JSON) -> None:
    config = body.get("toolConfig")
    used = any(block.keys() & {"toolUse", "toolResult"} for message in body["messages"] for block in message["content"])
    check(config or not used, "The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if not config:
        return
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    check(names and len(names) == len(set(names)), "toolConfig.tools: tool names must be unique")
    for spec in specs:
        schema = spec["inputSchema"].get("json")
        check(isinstance(schema, dict) and schema.get("type") == "object", "inputSchema.json.type must be object")
    chosen = config.get("toolChoice", {}).get("tool")
    check(chosen is None or chosen["name"] in names, "toolChoice.tool.name: no such tool")


def _check_caching(body: JSON, model: str) -> None:
    lists = [body.get("system", []), body.get("toolConfig", {}).get("tools", [])]
    lists += [message["content"] for message in body["messages"]]
    for blocks in lists:
        points = [index for index, block in enumerate(blocks) if "cachePoint" in block]
        check(0 not in points, "a cachePoint must have something before it")
        check(all(index - 1 not in points for index in points), "two cachePoints in a row")
    count = sum("cachePoint" in block for blocks in lists for block in blocks)
    check(count <= MAX_CACHE_POINTS, f"A maximum of {MAX_CACHE_POINTS} blocks with cache_control may be provided")
    check(not count or any(mark in model for mark in CACHING), "You do not have access to explicit prompt caching")


# Claude


def _check_claude(body: JSON, model: str) -> None:
    inference, extra = body.get("inferenceConfig", {}), body.get("additionalModelRequestFields", {})
    check(extra.keys() <= CLAUDE_FIELDS, f"{sorted(extra.keys() - CLAUDE_FIELDS)}: Extra inputs are not permitted")
    sampled = inference.keys() & {"temperature", "topP"}
    check(len(sampled) < 2, "`temperature` and `top_p` cannot both be specified for this model.")
    is_thinking = extra.get("thinking", {}).get("type", "disabled") != "disabled"
    allowed = {"temperature"} if is_thinking else set()
    check("claude-opus-4" not in model or sampled <= allowed, "`temperature` is deprecated for this model")
    stops = inference.get("stopSequences", [])
    check(all(stop.strip() for stop in stops), "stop_sequences: each stop sequence must contain non-whitespace")
    if is_thinking:
        _check_thinking(body, extra["thinking"])


def _check_thinking(body: JSON, thinking: JSON) -> None:
    inference = body.get("inferenceConfig", {})
    check(inference.get("temperature", 1) == 1, "temperature may only be set to 1 when thinking is enabled")
    check("topP" not in inference, "top_p must be unset when thinking is enabled")
    check("top_k" not in body["additionalModelRequestFields"], "top_k must be unset when thinking is enabled")
    forced = body.get("toolConfig", {}).get("toolChoice", {}).keys() & {"any", "tool"}
    check(not forced, "Thinking may not be enabled when tool_choice forces tool use.")
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens")
        check(type(budget) is int and budget >= 1024, "thinking.enabled.budget_tokens: greater than or equal to 1024")
        check("maxTokens" in inference and budget < inference["maxTokens"], "max_tokens must be greater than budget")
        _check_kept_thinking(body["messages"])


def _check_kept_thinking(messages: list[JSON]) -> None:
    """Within a run of calls and results the thoughts must come back with them."""
    if "toolResult" in messages[-1]["content"][0]:
        first = messages[-2]["content"][0]
        check("reasoningContent" in first, "Expected `thinking` or `redacted_thinking`, but found `tool_use`")
