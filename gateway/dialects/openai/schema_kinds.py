"""OpenAPI 3 for what stands beside chat under /v1: rerank, images, sound, moderations, and the route's explanation."""

from typing import Any

from gateway.dialects.openai.schema import (
    CALL_HEADERS,
    CHAT_MODEL,
    COUNT,
    ERRORS,
    LIMITS,
    REQUEST_ID,
    SECURITY,
    STRING,
    TAG,
    answer,
    call,
    errors,
    object_of,
)

JSON = dict[str, Any]

TEXTS_OR_OBJECTS: JSON = {"type": "array", "minItems": 1, "items": {"oneOf": [STRING, {"type": "object"}]}}
ANYTHING: JSON = {"type": "object", "additionalProperties": True}
LIST_OF_ANYTHING: JSON = {"type": "array", "items": ANYTHING}
MODEL = LIMITS["model"]
FILE: JSON = {"type": "string", "format": "binary"}
PLACE: JSON = {"model": STRING, "provider": STRING, "upstream_model": STRING}

SCHEMAS: JSON = {
    "RerankRequest": object_of(
        ["model", "query", "documents"], model=MODEL, query=STRING, documents=TEXTS_OR_OBJECTS, top_n=COUNT
    ),
    "RerankAnswer": object_of(
        ["results"],
        model=STRING,
        results={
            "type": "array",
            "items": object_of([], index={"type": "integer"}, relevance_score={"type": "number"}),
        },
        usage=object_of([], total_tokens={"type": "integer"}),
    ),
    "ImageRequest": object_of(
        ["model", "prompt"], model=MODEL, prompt=STRING, n={**COUNT, "maximum": 128}, size=STRING, quality=STRING
    ),
    "ImageAnswer": object_of(["data"], created={"type": "integer"}, data=LIST_OF_ANYTHING, usage=ANYTHING),
    "SpeechRequest": object_of(
        ["model", "input"],
        model=MODEL,
        input=STRING,
        voice={"description": "A voice's name, or an object that names one.", "oneOf": [STRING, {"type": "object"}]},
        response_format=STRING,
    ),
    "TranscriptionRequest": object_of(
        ["model", "file"], model=MODEL, file=FILE, language=STRING, prompt=STRING, response_format=STRING
    ),
    "TranscriptionAnswer": object_of(["text"], text=STRING, usage=ANYTHING),
    "ModerationRequest": object_of(
        ["model", "input"],
        model=MODEL,
        input={"oneOf": [STRING, {"type": "array", "items": {}, "minItems": 1}]},
    ),
    "ModerationAnswer": object_of(["results"], id=STRING, model=STRING, results=LIST_OF_ANYTHING),
    "RouteExplanation": object_of(
        ["model", "candidates", "excluded", "hold"],
        model=STRING,
        found_as={**STRING, "description": "The public name that answers: another one for an upstream's or `default`."},
        candidates={"type": "array", "items": object_of([], **PLACE, last_resort={**STRING, "nullable": True})},
        excluded={"type": "array", "items": object_of([], **PLACE, reason=STRING)},
        after={**ANYTHING, "description": "Deployments that are tried after such an error only."},
        hold={**ANYTHING, "nullable": True, "description": "What the call would set aside, in USD and tokens."},
        router={**ANYTHING, "nullable": True},
    ),
}

USED: JSON = {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
EXPLAINED: JSON = {
    "object": "route.explanation",
    "model": CHAT_MODEL,
    "found_as": CHAT_MODEL,
    "candidates": [{"model": CHAT_MODEL, "provider": "Embedded model", "upstream_model": CHAT_MODEL, "priority": 0}],
    "excluded": [
        {"model": CHAT_MODEL, "provider": "spare", "upstream_model": "m", "reason": "the model is switched off"}
    ],
    "after": {},
    "hold": {"usd": "0.00", "prompt_tokens": 77, "output_tokens": 64, "funds_usd": None, "refusal": None},
    "router": None,
}


def _bytes(description: str, *content_types: str) -> JSON:
    return {
        "description": description,
        "headers": CALL_HEADERS,
        "content": {content_type: {"schema": FILE} for content_type in content_types},
    }


TRANSCRIPTION: JSON = call(
    "createTranscription",
    "Sound to text",
    "`response_format` text, srt or vtt answers with plain text.",
    ("TranscriptionRequest", {"model": "whisper-1"}),
    answer("TranscriptionAnswer", {"text": "Hello."}, CALL_HEADERS),
)
TRANSCRIPTION["post"]["requestBody"]["content"] = {
    "multipart/form-data": {"schema": {"$ref": "#/components/schemas/TranscriptionRequest"}}
}
TRANSCRIPTION["post"]["responses"]["200"]["content"]["text/plain"] = {"schema": STRING, "example": "Hello."}

PATHS: JSON = {
    "/v1/rerank": call(
        "rerank",
        "Order documents by how well they answer",
        "The form that most rerankers share.",
        ("RerankRequest", {"model": "bge-reranker-v2-m3", "query": "a greeting", "documents": ["hello", "a bridge"]}),
        answer("RerankAnswer", {"results": [{"index": 0, "relevance_score": 0.9}], "usage": USED}, CALL_HEADERS),
    ),
    "/v1/images/generations": call(
        "createImage",
        "Make images",
        "Charged by the tokens that the upstream reports; where it reports none, by the prompt's.",
        ("ImageRequest", {"model": "gpt-image-1", "prompt": "A weighbridge at dawn"}),
        answer("ImageAnswer", {"created": 1767225600, "data": [{"b64_json": "iVBORw0KGgo="}]}, CALL_HEADERS),
    ),
    "/v1/audio/speech": call(
        "createSpeech",
        "Text to sound",
        "The answer is sound, in the upstream's format.",
        ("SpeechRequest", {"model": "tts-1", "input": "Hello.", "voice": "alloy"}),
        _bytes("The sound.", "audio/mpeg", "audio/wav", "application/octet-stream"),
    ),
    "/v1/audio/transcriptions": TRANSCRIPTION,
    "/v1/moderations": call(
        "createModeration",
        "Judge texts",
        "",
        ("ModerationRequest", {"model": "omni-moderation-latest", "input": "Hello."}),
        answer("ModerationAnswer", {"id": "modr-1", "results": [{"flagged": False}]}, CALL_HEADERS),
    ),
    "/v1/route/explain": {
        "post": {
            "operationId": "explainRoute",
            "summary": "Where a call would go, and why",
            "description": (
                "The body of a call, with `endpoint` (chat, completion, embedding, rerank, image, speech or "
                "moderation; chat when absent) beside its fields. Nothing is sent, held or charged. Deployments that "
                "the key was not granted are named to keys "
                "of the role admin only."
            ),
            "tags": [TAG],
            "security": SECURITY,
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": ANYTHING,
                        "example": {"model": CHAT_MODEL, "messages": [{"role": "user", "content": "Hello!"}]},
                    }
                },
            },
            "responses": {
                "200": answer("RouteExplanation", EXPLAINED, REQUEST_ID),
                **errors(tuple(status for status in ERRORS if status in ("400", "401", "404", "408", "413", "503"))),
            },
        }
    },
}
