"""Those who make their own models and speak OpenAI's protocol, or Anthropic's.

Quirks are from each vendor's reference, or from reports of its refusals where the reference is silent.
"""

from providers.catalog.vendor import (
    CHAT_AND_EMBEDDING,
    CHAT_ONLY,
    EVERYTHING,
    LLM,
    RERANK,
    USUAL,
    ConfigField,
    Vendor,
)
from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.extras import UnaskedUsageRequester

# For vendors that know the older name only.
OLD_LIMIT = {"max_completion_tokens": "max_tokens"}
MOONSHOT = "moonshot kimi k2 月之暗面 月暗"

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "openai-chat-completions",
        "OpenAI",
        "https://api.openai.com/v1",
        label_zh="OpenAI",
        kinds=EVERYTHING - {RERANK},
        aliases=("openai", "openai-embeddings"),
        search="gpt chatgpt o1 o3 o4 text-embedding dall-e whisper 通用",
        # platform.openai.com/docs/api-reference/chat/create: reasoning models refuse max_tokens, which is deprecated.
        max_tokens_field="max_completion_tokens",
    ),
    Vendor(
        "anthropic-messages",
        "Anthropic",
        "https://api.anthropic.com",
        requester=AnthropicRequester,
        label_zh="Anthropic",
        aliases=("anthropic",),
        search="claude opus sonnet haiku 克劳德",
        requires_max_tokens=True,
        protocol="anthropic",
    ),
    Vendor(
        "deepseek-chat-completions",
        "DeepSeek",
        "https://api.deepseek.com",
        label_zh="DeepSeek",
        aliases=("deepseek",),
        search="deepseek-chat deepseek-reasoner r1 v3 深度求索",
        # api-docs.deepseek.com/api/create-chat-completion has max_tokens only.
        rename=OLD_LIMIT,
        protocol="deepseek",
    ),
    Vendor(
        "gemini-chat-completions",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        label_zh="Google Gemini",
        kinds=CHAT_AND_EMBEDDING,
        search="google bard flash pro 谷歌 双子座",
        # Its OpenAI layer answers 400, `Unknown name "frequency_penalty"`: github.com/n4ze3m/page-assist/issues/418.
        drop=frozenset({"frequency_penalty"}),
        protocol="gemini",
        note="Speaks to Gemini's OpenAI layer.",
    ),
    Vendor(
        "groq-chat-completions",
        "Groq",
        "https://api.groq.com/openai/v1",
        label_zh="Groq",
        kinds=frozenset({LLM, "speech", "transcription"}),
        search="lpu llama mixtral whisper 推理加速",
        # console.groq.com/docs/openai: these are answered with 400.
        drop=frozenset({"logprobs", "top_logprobs", "logit_bias"}),
        protocol="groq",
    ),
    Vendor(
        "mistral-chat-completions",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        requester=UnaskedUsageRequester,
        label_zh="Mistral AI",
        kinds=CHAT_AND_EMBEDDING,
        search="mixtral codestral devstral mistral-embed le-chat",
        # Refuses what its schema (docs.mistral.ai/api, ChatCompletionRequest) does not name, with 422; the seed is
        # called random_seed there. Streams end with the usage unasked: github.com/dnakov/anon-kode/issues/53,
        # github.com/avante-corp/avante.nvim/issues/2347; github.com/editor-code-assistant/eca/issues/231.
        rename={**OLD_LIMIT, "seed": "random_seed"},
        drop=frozenset(
            {"logit_bias", "logprobs", "top_logprobs", "user", "store", "service_tier"},
        ),
        protocol="mistral",
    ),
    Vendor(
        "together-chat-completions",
        "Together AI",
        "https://api.together.xyz/v1",
        label_zh="Together AI",
        kinds=USUAL,
        search="togetherai llama qwen bge",
        protocol="together_ai",
    ),
    Vendor(
        "xai-chat-completions",
        "xAI",
        "https://api.x.ai/v1",
        label_zh="xAI",
        search="grok x.ai musk 马斯克",
    ),
    Vendor(
        "moonshot-chat-completions",
        "Moonshot / Kimi (Global · api.moonshot.ai)",
        "https://api.moonshot.ai/v1",
        label_zh="月之暗面 / Kimi（国际站 · api.moonshot.ai）",
        search=MOONSHOT,
    ),
    Vendor(
        "moonshot-cn-chat-completions",
        "Moonshot / Kimi (China · api.moonshot.cn)",
        "https://api.moonshot.cn/v1",
        label_zh="月之暗面 / Kimi（国内站 · api.moonshot.cn）",
        search=f"{MOONSHOT} cn 国内",
    ),
    Vendor(
        "zhipuai-chat-completions",
        "ZhipuAI",
        "https://open.bigmodel.cn/api/paas/v4",
        label_zh="智谱 AI",
        kinds=USUAL,
        search="glm chatglm bigmodel z.ai 智谱清言 embedding-3",
        # java.agentscope.io/v2/en/integration/model/glm lists what its API does not take.
        rename=OLD_LIMIT,
        drop=frozenset({"frequency_penalty", "presence_penalty"}),
    ),
    Vendor(
        "minimax-chat-completions",
        "MiniMax",
        "https://api.minimax.chat/v1",
        label_zh="MiniMax",
        kinds=USUAL,
        search="abab hailuo embo 海螺",
    ),
    Vendor(
        "baidu-chat-completions",
        "Baidu ERNIE",
        "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop",
        label_zh="百度文心一言",
        kinds=USUAL,
        search="ernie qianfan wenxin bce 千帆 文心",
        # cloud.baidu.com/doc/qianfan/s/Hmh4suq26
        note="Keys of the current platform (bce-v3/…) belong to https://qianfan.baidubce.com/v2.",
    ),
    Vendor(
        "doubao-chat-completions",
        "ByteDance Doubao",
        "https://ark.cn-beijing.volces.com/api/v3",
        label_zh="字节豆包",
        kinds=USUAL,
        search="bytedance volcengine ark seed 豆包 字节跳动 火山引擎",
    ),
    Vendor(
        "iflytek-chat-completions",
        "iFlytek Spark",
        "https://spark-api-open.xf-yun.com/v1",
        label_zh="讯飞星火",
        kinds=USUAL,
        search="xunfei xinghuo 科大讯飞 星火",
    ),
    Vendor(
        "mimo-chat-completions",
        "Xiaomi MiMo",
        "https://api.xiaomimimo.com/v1",
        label_zh="小米 MiMo",
        kinds=USUAL,
        search="xiaomi 小米大模型",
    ),
    Vendor(
        "tencent-chat-completions",
        "Tencent Hunyuan",
        "https://hunyuan.tencentcloudapi.com/v1",
        label_zh="腾讯混元",
        kinds=USUAL,
        search="hunyuan txcloud 腾讯云 混元 元宝",
        note="Hunyuan's OpenAI-compatible address is https://api.hunyuan.cloud.tencent.com/v1.",
    ),
    Vendor(
        "yi-chat-completions",
        "01.AI Yi",
        "https://api.lingyiwanwu.com/v1",
        label_zh="零一万物",
        kinds=USUAL,
        search="lingyiwanwu 01.ai yi-large yi-lightning 万智",
    ),
    Vendor(
        "openai-codex",
        "OpenAI Codex",
        "https://chatgpt.com/backend-api/codex",
        label_zh="OpenAI Codex",
        kinds=CHAT_ONLY,
        fields=(ConfigField("base_url", "Base URL", "基础 URL", default="https://chatgpt.com/backend-api/codex"),),
        search="chatgpt gpt codex",
        needs_key=False,
        refusal="Codex is paid by a ChatGPT subscription: it takes a person's device log-in at ChatGPT, no API key.",
        protocol="",
    ),
)
