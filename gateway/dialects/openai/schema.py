"""OpenAPI 3 for /v1/*: what OpenAI's own reference says, as far as the gateway itself acts on it. The views are plain
Django for speed, so nothing can derive this; a test holds it against the URLs."""

from typing import Any

JSON = dict[str, Any]

TAG = "OpenAI"
SECURITY: list[dict[str, list[str]]] = [{"bearerAuth": []}, {"headerKey": []}]
SECURITY_SCHEMES: JSON = {
    "bearerAuth": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer wb-…`"},
    "headerKey": {  # sorted by name, it comes second
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same secret; when both are sent, this one decides.",
    },
}

# Those that a first start brings along, so that "try it out" answers.
CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"

STRING: JSON = {"type": "string"}
COUNT: JSON = {"type": "integer", "minimum": 1}
TEXT_OR_LIST: JSON = {"oneOf": [{"type": "string"}, {"type": "array", "items": {}, "minItems": 1}]}


def _ref(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(required: list[str], **properties: JSON) -> JSON:
    """An object that may have more fields than these: all of them pass through to the upstream and back."""
    needed = {"required": required} if required else {}  # an empty list is not valid there
    return {"type": "object", **needed, "properties": properties, "additionalProperties": True}


USAGE = object_of(
    ["prompt_tokens", "total_tokens"],
    prompt_tokens={"type": "integer"},
    completion_tokens={"type": "integer"},
    total_tokens={"type": "integer"},
)
LIMITS: JSON = {
    "model": {**STRING, "description": "The public name of a model that the key may call.", "maxLength": 255},
    "stream": {"type": "boolean", "default": False, "description": "Answer as server-sent events."},
    "stream_options": object_of([], include_usage={"type": "boolean", "description": "End with a chunk of the usage."}),
    "max_tokens": {**COUNT, "description": "Lowered to what the key's funds cover, if they cover less."},
    "n": {**COUNT, "maximum": 128},
    "temperature": {"type": "number"},
}
CONTENT = (
    "A text, or a list of parts: text, image_url, input_audio, file; and doc, "
    '{"type": "doc", "doc": {name, format, size, source: {bytes}}} with the bytes as a list or an object of numbers or '
    "as a text in base64, which goes on as a file."
)
SCHEMAS: JSON = {
    "Error": object_of(
        ["error"],
        success={"type": "boolean", "description": "False, for keys that begin with br- or br_ and without a key."},
        data={**STRING, "description": "What BRConnector says of it, for the same."},
        error=object_of(
            ["message", "type", "param", "code"],
            message=STRING,
            type={**STRING, "description": "Such as invalid_request_error, insufficient_quota or upstream_error."},
            param={**STRING, "nullable": True},
            code={**STRING, "nullable": True},
        ),
    ),
    "Message": object_of(
        ["role"],
        role={**STRING, "description": "system, developer, user, assistant or tool."},
        content={**TEXT_OR_LIST, "nullable": True, "description": CONTENT},
        tool_calls={"type": "array", "items": {"type": "object", "additionalProperties": True}},
    ),
    "ChatRequest": object_of(
        ["model", "messages"],
        messages={"type": "array", "items": _ref("Message"), "minItems": 1},
        max_completion_tokens=COUNT,
        tools={"type": "array", "items": {"type": "object", "additionalProperties": True}},
        response_format={"type": "object", "additionalProperties": True},
        **LIMITS,
    ),
    "CompletionRequest": object_of(
        ["model"],
        prompt=TEXT_OR_LIST,
        messages={
            "type": "array",
            "items": _ref("Message"),
            "minItems": 1,
            "description": "In the prompt's place: a chat, answered as a text completion.",
        },
        **LIMITS,
    ),
    "EmbeddingRequest": object_of(["model", "input"], model=LIMITS["model"], input=TEXT_OR_LIST),
    "ChatAnswer": object_of(
        ["id", "object", "choices"],
        id=STRING,
        object=STRING,
        created={"type": "integer"},
        model=STRING,
        choices={
            "type": "array",
            "items": object_of(
                ["index", "message"],
                index={"type": "integer"},
                message=_ref("Message"),
                finish_reason={**STRING, "nullable": True},
            ),
        },
        usage=USAGE,
    ),
    "CompletionAnswer": object_of(
        ["id", "object", "choices"],
        id=STRING,
        object=STRING,
        choices={"type": "array", "items": object_of(["index", "text"], index={"type": "integer"}, text=STRING)},
        usage=USAGE,
    ),
    "EmbeddingAnswer": object_of(
        ["object", "data"],
        object=STRING,
        data={
            "type": "array",
            "items": object_of(
                ["index", "embedding"],
                index={"type": "integer"},
                embedding={"oneOf": [{"type": "array", "items": {"type": "number"}}, STRING]},
            ),
        },
        usage=USAGE,
    ),
    "Model": object_of(
        ["id", "object", "created", "owned_by"],
        id={**STRING, "description": "The public name."},
        object=STRING,
        created={"type": "integer"},
        owned_by={**STRING, "description": "The provider."},
        kind={**STRING, "description": "llm, embedding, rerank, image, speech, transcription or moderation."},
        context_length={"type": "integer", "nullable": True},
        max_output_tokens={"type": "integer", "nullable": True},
        multiple={"type": "boolean", "description": "Takes more than text, such as images."},
    ),
    "ModelList": object_of(["object", "data"], object=STRING, data={"type": "array", "items": _ref("Model")}),
}

CHAT_EXAMPLE: JSON = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 64}
CHAT_ANSWER_EXAMPLE: JSON = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1767225600,
    "model": CHAT_MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
STREAM_EXAMPLE = (
    'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\n'
    'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    "data: [DONE]\n\n"
)
COMPLETION_EXAMPLE: JSON = {"model": CHAT_MODEL, "prompt": "Once upon a time", "max_tokens": 64}
COMPLETION_ANSWER_EXAMPLE: JSON = {
    "id": "cmpl-1",
    "object": "text_completion",
    "choices": [{"index": 0, "text": " there was a weighbridge.", "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9},
}
EMBEDDING_EXAMPLE: JSON = {"model": EMBEDDING_MODEL, "input": ["a text", "another text"]}
EMBEDDING_ANSWER_EXAMPLE: JSON = {
    "object": "list",
    "model": EMBEDDING_MODEL,
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
MODEL_EXAMPLE: JSON = {
    "id": CHAT_MODEL,
    "object": "model",
    "created": 1767225600,
    "owned_by": "built-in",
    "kind": "llm",
    "context_length": 131072,
    "max_output_tokens": 8192,
    "multiple": False,
}

REQUEST_ID: JSON = {"x-request-id": {"schema": STRING, "description": "Names this call here and in the console."}}
REPLAYED: JSON = {
    "idempotent-replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "Only when this is the answer that was given, and charged, to the first such request.",
    }
}
CALL_HEADERS: JSON = {
    **REQUEST_ID,
    "x-weighbridge-cost": {
        "schema": STRING,
        "description": "What the call cost, in USD. Not on a stream: its cost is known only after its headers.",
    },
    "x-weighbridge-max-tokens": {
        "schema": {"type": "integer"},
        "description": "Only when the answer's limit was lowered to what the key's funds cover: the limit.",
    },
    "x-weighbridge-dropped": {
        "schema": STRING,
        "description": "Only when the provider has no place for some parameters: those left out.",
    },
    "x-weighbridge-route": {
        "schema": STRING,
        "description": "Where the call went: `model@provider`, after those that failed with their codes.",
    },
    **REPLAYED,
}
RETRY_AFTER: JSON = {"retry-after": {"schema": {"type": "integer"}, "description": "Seconds."}}
SESSION_ID: JSON = {
    "name": "Session-Id",
    "in": "header",
    "schema": {"type": "string", "maxLength": 128},
    "description": "Groups calls of this key in the console.",
}
THINK_BUDGET: JSON = {
    "name": "Think-Budget",
    "in": "header",
    "schema": {"type": "integer"},
    "description": (
        "So many tokens of thought, if the body says nothing of it and the model can; else x-weighbridge-dropped says "
        "`thinking`. 0 and less: none."
    ),
}

IDEMPOTENCY_KEY: JSON = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": (
        "The same key with the same request within 24 hours gets the first answer again, and costs nothing more. "
        "What failed or was left is no answer: its key is free again."
    ),
}
TIMEOUTS: list[JSON] = [
    {
        "name": f"X-Weighbridge-{name}Timeout",
        "in": "header",
        "schema": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
        "description": f"Seconds {text}; without effect where the provider's own are fewer.",
    }
    for name, text in (
        ("", "for the whole call, retries included"),
        ("Connect-", "to reach an upstream"),
        ("First-Byte-", "from a request to its answer's first byte"),
        ("Idle-", "of silence in the middle of an answer"),
    )
]

# Status: what it means, an example's type and code, more headers.
ERRORS: dict[str, tuple[str, str, str | None, JSON]] = {
    "400": (
        "The body is not JSON, or a field is missing or wrong. For keys that begin with br- or br_ all that is told as "
        "401, 403, 404 or 429 else, unless the upstream said it or TRUE_STATUS_CODES is on.",
        "invalid_request_error",
        None,
        {},
    ),
    "401": ("No key, or one that is unknown, revoked or expired.", "invalid_request_error", "invalid_api_key", {}),
    "403": (
        "The key was not granted the model. Said only to keys that begin with br- or br_, with TRUE_STATUS_CODES.",
        "invalid_request_error",
        "model_not_found",
        {},
    ),
    "404": ("No such model, or none that this key may call.", "invalid_request_error", "model_not_found", {}),
    "408": ("The body did not arrive in time.", "invalid_request_error", "request_timeout", {}),
    "409": (
        "The first request with this Idempotency-Key is still running, or its answer was too large to be kept "
        "(idempotency_answer_not_kept).",
        "invalid_request_error",
        "idempotency_in_progress",
        RETRY_AFTER,
    ),
    "413": ("The body is too large.", "invalid_request_error", "request_too_large", {}),
    "422": (
        "The Idempotency-Key was used for another request.",
        "invalid_request_error",
        "idempotency_key_reused",
        {},
    ),
    "429": (
        "The key's quota and balance don't cover the call (insufficient_quota), or the upstream asks to wait.",
        "insufficient_quota",
        "insufficient_quota",
        RETRY_AFTER,
    ),
    "500": ("The gateway failed on this call.", "server_error", "internal_error", {}),
    "502": (
        "The upstream failed, and no other deployment could take over.",
        "upstream_error",
        "upstream_unavailable",
        {},
    ),
    "503": ("The database or the upstream is too busy: try again.", "server_error", "ledger_unavailable", RETRY_AFTER),
    "504": ("The upstream did not answer in time.", "timeout_error", "upstream_timeout", {}),
}
READ_ERRORS = ("401", "503")


def errors(statuses: tuple[str, ...]) -> JSON:
    return {status: failure(*ERRORS[status]) for status in statuses}


def failure(description: str, kind: str, code: str | None, headers: JSON) -> JSON:
    example = {"error": {"message": description, "type": kind, "param": None, "code": code}}
    content = {"application/json": {"schema": _ref("Error"), "example": example}}
    return {"description": description, "headers": {**REQUEST_ID, **headers}, "content": content}


def answer(schema: str, example: JSON, headers: JSON, stream: str = "") -> JSON:
    content: JSON = {"application/json": {"schema": _ref(schema), "example": example}}
    if stream:
        content["text/event-stream"] = {"schema": STRING, "example": stream}
    return {"description": "The answer.", "headers": headers, "content": content}


def call(name: str, summary: str, text: str, request: tuple[str, JSON], answer: JSON, *headers: JSON) -> JSON:
    schema, example = request
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": text,
            "tags": [TAG],
            "security": SECURITY,
            "parameters": [SESSION_ID, IDEMPOTENCY_KEY, *headers, *TIMEOUTS],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ref(schema), "example": example}},
            },
            "responses": {"200": answer, **errors(tuple(ERRORS))},
        }
    }


def _read(name: str, summary: str, answer: JSON, statuses: tuple[str, ...], parameters: list[JSON]) -> JSON:
    operation = {"operationId": name, "summary": summary, "tags": [TAG], "security": SECURITY}
    return {"get": {**operation, "parameters": parameters, "responses": {"200": answer, **errors(statuses)}}}


STREAMING = (
    "With `stream: true` the answer is a stream of server-sent events: one `data:` line of JSON for each chunk, then "
    "`data: [DONE]`. An error after the first chunk comes as an event with an `error` object, before `[DONE]`."
)
MODEL_NAME: JSON = {"name": "model", "in": "path", "required": True, "schema": STRING, "example": CHAT_MODEL}

PATHS: JSON = {
    "/v1/chat/completions": call(
        "createChatCompletion",
        "Chat",
        f"Fields that are not listed pass through to the upstream. {STREAMING}",
        ("ChatRequest", CHAT_EXAMPLE),
        answer("ChatAnswer", CHAT_ANSWER_EXAMPLE, CALL_HEADERS, STREAM_EXAMPLE),
        THINK_BUDGET,
    ),
    "/v1/completions": call(
        "createCompletion",
        "Complete a text",
        f"Of a prompt, or of messages; where the provider has chats alone, by a chat. {STREAMING}",
        ("CompletionRequest", COMPLETION_EXAMPLE),
        answer("CompletionAnswer", COMPLETION_ANSWER_EXAMPLE, CALL_HEADERS, STREAM_EXAMPLE),
    ),
    "/v1/embeddings": call(
        "createEmbedding",
        "Embed texts",
        "One vector for each text.",
        ("EmbeddingRequest", EMBEDDING_EXAMPLE),
        answer("EmbeddingAnswer", EMBEDDING_ANSWER_EXAMPLE, CALL_HEADERS),
    ),
    "/v1/models": _read(
        "listModels",
        "The models that this key may call",
        answer("ModelList", {"object": "list", "data": [MODEL_EXAMPLE]}, REQUEST_ID),
        READ_ERRORS,
        [],
    ),
    "/v1/models/{model}": _read(
        "retrieveModel",
        "One of them",
        answer("Model", MODEL_EXAMPLE, REQUEST_ID),
        ("404", *READ_ERRORS),
        [MODEL_NAME],
    ),
}
