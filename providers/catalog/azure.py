"""OpenAI's models on Azure. The deployments are the operator's, so an address must be given."""

from providers.catalog.vendor import MAAS, ConfigField, Vendor
from providers.requesters.azure import API_VERSION, AzureRequester
from providers.requesters.entra import AUTHORITY

FIELDS = (
    ConfigField(
        "apiVersion",
        "API version",
        "API 版本",
        # No default here: one that a form filled in would be sent to /openai/v1, too.
        help_text=f"{API_VERSION} unless given. An address that ends in /openai/v1 needs none.",
    ),
    ConfigField(
        "deployment",
        "Deployment",
        "部署名称",
        help_text="For all of this provider's models. Without it each model's upstream name is its deployment's.",
    ),
    ConfigField(
        "auth",
        "Authentication",
        "认证方式",
        default="key",
        help_text="key, or entra: the key is then a token, or a service principal's tenant_id, client_id and secret.",
    ),
    ConfigField(
        "authority",
        "Authority",
        "认证机构",
        default=AUTHORITY,
        help_text="Where Entra tokens come from; sovereign clouds have their own.",
    ),
)
KEY_HINT = 'The resource\'s key; with entra a token, or {"tenant_id": "…", "client_id": "…", "client_secret": "…"}'

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "azure-openai",
        "Azure OpenAI",
        "",
        requester=AzureRequester,
        label_zh="微软 Azure OpenAI",
        category=MAAS,
        kinds=frozenset({"llm", "embedding", "image", "speech", "transcription"}),
        fields=FIELDS,
        aliases=("azure",),
        search="microsoft foundry entra gpt o1 text-embedding dall-e whisper 微软",
        # Azure's specification 2024-10-21: max_tokens is deprecated and not for reasoning models. A deployment's name
        # does not tell which model it holds, so it is the one name that all of them take.
        max_tokens_field="max_completion_tokens",
        key_hint=KEY_HINT,
        protocol="azure",
        note="The list shows the region's models, not the deployments. Speech needs a preview version, or /openai/v1.",
    ),
    Vendor(
        "azure-openai-image",
        "Azure OpenAI Images",
        "",
        requester=AzureRequester,
        label_zh="微软 Azure OpenAI 图像",
        category=MAAS,
        kinds=frozenset({"image"}),
        fields=FIELDS,
        search="microsoft dall-e gpt-image painting 微软 绘图",
        key_hint=KEY_HINT,
        protocol="azure",
        note="As Azure OpenAI, for pictures alone.",
    ),
)
