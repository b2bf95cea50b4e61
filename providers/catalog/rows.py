"""All rows. Those with a protocol of their own stand in files of their own."""

from providers.catalog import aws, azure, google, rerankers
from providers.catalog.vendor import Vendor
from providers.requesters.anthropic import AnthropicRequester

ROWS: tuple[Vendor, ...] = (
    Vendor("openai", "OpenAI", "https://api.openai.com/v1", max_tokens_field="max_completion_tokens"),
    Vendor("openai-compatible", "OpenAI-compatible server", "", needs_key=False),
    Vendor(
        "anthropic",
        "Anthropic",
        "https://api.anthropic.com",
        requester=AnthropicRequester,
        requires_max_tokens=True,
    ),
    Vendor("deepseek", "DeepSeek", "https://api.deepseek.com"),
    Vendor("local", "Embedded model", "", needs_key=False),
    *aws.ROWS,
    *azure.ROWS,
    *google.ROWS,
    *rerankers.ROWS,
)
