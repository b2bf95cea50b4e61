"""Google's own protocol. Its OpenAI layer is a manufacturer's row like any other."""

from providers.catalog.vendor import CHAT_AND_EMBEDDING, ConfigField, Vendor
from providers.requesters.gemini import GeminiRequester

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "gemini-converse",
        "Google Gemini (native)",
        "https://generativelanguage.googleapis.com/v1beta",
        requester=GeminiRequester,
        label_zh="谷歌 Gemini（原生）",
        kinds=CHAT_AND_EMBEDDING,
        fields=(
            # ai.google.dev/api/generate-content#v1beta.SafetySetting, docs/thinking.
            ConfigField(
                "safetySettings",
                "Safety settings",
                "安全设置",
                "array",
                help_text="For calls that bring none: a list of {category, threshold}, as Gemini takes it.",
            ),
            ConfigField(
                "thinkBudget",
                "Thinking budget",
                "思考预算",
                "integer",
                help_text="Tokens, for calls that name no reasoning effort: 0 is none, -1 as many as the model likes.",
            ),
        ),
        aliases=("gemini-native",),
        search="google bard flash pro generatecontent 谷歌 双子座 原生",
        protocol="gemini",
        note="Speaks Gemini's own protocol: thought signatures, safety settings, files.",
    ),
)
