"""What Gemini's generateContent and batchEmbedContents accept, as far as the gateway uses them; else a Violation.

Sources: ai.google.dev (api/generate-content, api/caching, api/embeddings, docs/function-calling, docs/thinking,
docs/thought-signatures) and googleapis/python-genai's types. Protobuf's JSON reader refuses each unknown name.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.server import JSON, Violation

FIELDS = {
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
}
# Kind of part: who may say it.
PARTS: dict[str, tuple[str, ...]] = {
    "text": ("user", "model", "system"),
    "inlineData": ("user", "model"),
    "fileData": ("user",),
    "functionCall": ("model",),
    "functionResponse": ("user",),
}
TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
OWN_TOOLS = {"googleSearch", "codeExecution", "urlContext"}
MODES = ("AUTO", "ANY", "NONE", "VALIDATED")
NAMING_MODES = ("ANY", "VALIDATED")
CATEGORY = re.compile(r"HARM_CATEGORY_[A-Z_]+")
THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")
LEVELS = ("minimal", "low", "medium", "high")
MAX_BUDGET = 32768
NO_SIGNATURE = "skip_thought_signature_validator"


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise Violation(message)


def _known(given: Any, known: set[str], where: str) -> None:
    _check(isinstance(given, dict), f"Invalid value at '{where}'")
    for name in given.keys() - known:
        raise Violation(f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field.")


def check_generate(body: JSON, model: str) -> None:
    _known(body, FIELDS, "")
    _check(bool(body.get("contents")), "* GenerateContentRequest.contents: contents is not specified")
    if "systemInstruction" in body:
        _known(body["systemInstruction"], {"parts", "role"}, "system_instruction")
        _check_parts(body["systemInstruction"].get("parts"), "system", "system_instruction")
    _check_contents(body["contents"])
    _check_signatures(body["contents"], model)
    _check_tools(body)
    _check_config(body.get("generationConfig", {}), model)
    for setting in body.get("safetySettings", []):
        _known(setting, {"category", "threshold"}, "safety_settings")
        _check(bool(CATEGORY.fullmatch(setting["category"])), "safety_settings.category: invalid")
        _check(setting["threshold"] in THRESHOLDS, "safety_settings.threshold: invalid")


# Contents


def _check_contents(contents: list[JSON]) -> None:
    open_calls: list[JSON] = []
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        _known(content, {"role", "parts"}, where)
        role = content.get("role")
        _check(role in ("user", "model"), "Please use a valid role: user, model.")
        # The real one is lenient today; the gateway must not lean on that.
        _check(
            not index or contents[index - 1]["role"] != role, f"{where}: roles must alternate between user and model"
        )
        _check_parts(content.get("parts"), role, where)
        calls = _of(content, "functionCall")
        if calls:
            _check(index > 0, "function call turn must come immediately after a user turn")
        if role == "user":
            _check_answers(_of(content, "functionResponse"), open_calls)
        open_calls = calls
    _check(contents[-1]["role"] == "user" or not open_calls, "contents end with a function call")


def _of(content: JSON, kind: str) -> list[JSON]:
    return [part[kind] for part in content["parts"] if kind in part]


def _check_answers(responses: list[JSON], calls: list[JSON]) -> None:
    """Each call is answered in the very next turn, once, under its own id and name."""
    _check(
        len(responses) == len(calls),
        "the number of function response parts must equal the number of function call parts of the turn before",
    )
    pairs = sorted((each["id"], each["name"]) for each in responses)
    _check(pairs == sorted((call["id"], call["name"]) for call in calls), "function responses match no function call")


def _check_parts(parts: Any, role: str, where: str) -> None:
    _check(isinstance(parts, list) and len(parts) > 0, f"{where}.parts must not be empty")
    for index, part in enumerate(parts):
        spot = f"{where}.parts[{index}]"
        _known(part, {*PARTS, "thoughtSignature", "thought"}, spot)
        kinds = part.keys() & PARTS.keys()
        _check(len(kinds) == 1, f"{spot}: data must have exactly one initialized field")
        kind = kinds.pop()
        _check(role in PARTS[kind], f"{spot}: {kind} is not allowed in role {role}")
        _check("thoughtSignature" not in part or role == "model", f"{spot}: a signature outside the model's turn")
        FURTHER[kind](part[kind], spot)


def _check_text(text: Any, where: str) -> None:
    _check(isinstance(text, str) and bool(text), f"{where}.text must not be empty")


def _check_blob(blob: JSON, where: str) -> None:
    _known(blob, {"mimeType", "data"}, f"{where}.inline_data")
    _check(bool(MIME_TYPE.fullmatch(blob.get("mimeType", ""))), f"{where}.inline_data.mime_type: invalid")
    try:
        base64.b64decode(blob["data"], validate=True)
    except binascii.Error as error:
        raise Violation(f"{where}.inline_data.data: Base64 decoding failed") from error


def _check_file(file: JSON, where: str) -> None:
    _known(file, {"mimeType", "fileUri"}, f"{where}.file_data")
    hosts = ("https://generativelanguage.googleapis.com/", "gs://", "https://www.youtube.com/", "https://youtu.be/")
    _check(file["fileUri"].startswith((*hosts, "https://youtube.com/")), "Invalid or unsupported file uri")


def _check_call(call: JSON, where: str) -> None:
    _known(call, {"id", "name", "args"}, f"{where}.function_call")
    _check(bool(TOOL_NAME.fullmatch(call.get("name", ""))), f"{where}.function_call.name: invalid")
    _check(isinstance(call.get("args"), dict), f"{where}.function_call.args: must be an object")


def _check_response(response: JSON, where: str) -> None:
    _known(response, {"id", "name", "response", "parts"}, f"{where}.function_response")
    _check(bool(TOOL_NAME.fullmatch(response.get("name", ""))), f"{where}.function_response.name: invalid")
    _check(isinstance(response.get("response"), dict), f"{where}.function_response.response: must be an object")
    for part in response.get("parts", []):
        _check(part.keys() <= {"inlineData", "fileData"}, f"{where}.function_response.parts: media only")


FURTHER: dict[str, Callable[[Any, str], None]] = {
    "text": _check_text,
    "inlineData": _check_blob,
    "fileData": _check_file,
    "functionCall": _check_call,
    "functionResponse": _check_response,
}


def _check_signatures(contents: list[JSON], model: str) -> None:
    """Gemini 3: the first function call of each step of the current turn has its signature."""
    said = [index for index, turn in enumerate(contents) if turn["role"] == "user" and _of(turn, "text")]
    for content in contents[said[-1] if said else 0 :]:
        parts = [part for part in content["parts"] if "functionCall" in part]
        if parts and model.startswith("gemini-3"):
            _check(
                "thoughtSignature" in parts[0], "Function call is missing a thought_signature in functionCall parts."
            )


# The rest of the body


def _check_tools(body: JSON) -> None:
    names: list[str] = []
    for tool in body.get("tools", []):
        _known(tool, {"functionDeclarations", *OWN_TOOLS}, "tools")
        for function in tool.get("functionDeclarations", []):
            _known(function, {"name", "description", "parameters", "parametersJsonSchema"}, "function_declarations")
            _check(bool(TOOL_NAME.fullmatch(function.get("name", ""))), "Invalid function name")
            _check("parameters" not in function, "the gateway sends JSON Schema, which `parameters` is not")
            _check(
                function.get("parametersJsonSchema", {}).get("type", "object") == "object", "parameters: not an object"
            )
            names.append(function["name"])
    _check(len(names) == len(set(names)), "Duplicate function declaration found")
    if "toolConfig" in body:
        _check_choice(body["toolConfig"], names)


def _check_choice(config: JSON, names: list[str]) -> None:
    _known(config, {"functionCallingConfig"}, "tool_config")
    choice = config["functionCallingConfig"]
    _known(choice, {"mode", "allowedFunctionNames"}, "function_calling_config")
    _check(bool(names), "Function calling config is set without function_declarations.")
    _check(choice.get("mode") in MODES, "function_calling_config.mode: invalid")
    allowed = choice.get("allowedFunctionNames", [])
    _check(not allowed or choice["mode"] in NAMING_MODES, "allowed_function_names: only with mode ANY or VALIDATED")
    _check(set(allowed) <= set(names), "allowed_function_names: not among the declared ones")


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


CONFIG: dict[str, Callable[[Any], bool]] = {
    "temperature": _is_number(0, 2),
    "topP": _is_number(0, 1),
    "topK": _is_integer(1, 1000),
    "maxOutputTokens": _is_integer(1, 65536),
    "candidateCount": _is_integer(1, 8),
    "seed": _is_integer(-(2**31), 2**31 - 1),
    "presencePenalty": _is_number(-2, 2),
    "frequencyPenalty": _is_number(-2, 2),
    "stopSequences": lambda value: isinstance(value, list) and 0 < len(value) <= 5 and all(value),
    "responseLogprobs": lambda value: value is True,
    "logprobs": _is_integer(0, 20),
    "responseMimeType": lambda value: value in ("application/json", "text/plain"),
    "responseJsonSchema": lambda value: isinstance(value, dict),
    "thinkingConfig": lambda value: isinstance(value, dict),
}


def _check_config(config: JSON, model: str) -> None:
    _known(config, set(CONFIG), "generation_config")
    for name, value in config.items():
        _check(CONFIG[name](value), f"Invalid value at 'generation_config.{name}': {value!r}")
    _check("logprobs" not in config or "responseLogprobs" in config, "logprobs: only with response_logprobs")
    is_json = config.get("responseMimeType") == "application/json"
    _check("responseJsonSchema" not in config or is_json, "a response schema needs response_mime_type application/json")
    if "thinkingConfig" in config:
        _check_thinking(config["thinkingConfig"], model)


def _check_thinking(thinking: JSON, model: str) -> None:
    _known(thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"}, "thinking_config")
    _check(not re.search(r"gemini-(1|2\.0)", model), "Thinking is not enabled for this model")
    _check(len(thinking.keys() & {"thinkingBudget", "thinkingLevel"}) < 2, "a budget and a level at once")
    if "thinkingLevel" in thinking:
        _check("gemini-2" not in model, "Thinking level is not supported for this model.")
        _check(thinking["thinkingLevel"].lower() in LEVELS, "thinking_level: invalid")
        is_least = thinking["thinkingLevel"] == "minimal" and "pro" in model
        _check(not is_least, "Thinking level MINIMAL is not supported for this model.")
    budget = thinking.get("thinkingBudget", -1)
    _check(type(budget) is int and -1 <= budget <= MAX_BUDGET, "thinking_budget: out of range")
    _check(not (budget == 0 and "pro" in model), "Budget 0 is invalid. This model only works in thinking mode.")


# Embeddings


def check_embed(body: JSON, model: str) -> None:
    _known(body, {"requests"}, "")
    requests = body.get("requests")
    _check(isinstance(requests, list) and len(requests) > 0, "requests: must not be empty")
    _check(len(body["requests"]) <= 100, "at most 100 requests can be in one batch")
    for request in body["requests"]:
        _known(request, {"model", "content", "outputDimensionality", "taskType", "title"}, "requests")
        _check(request.get("model") == f"models/{model}", "requests.model: must match the model of the batch")
        _check_parts(request["content"].get("parts"), "user", "requests.content")
        _check(0 < request.get("outputDimensionality", 768) <= 3072, "output_dimensionality: out of range")
