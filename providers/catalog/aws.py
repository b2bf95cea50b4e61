"""Amazon Bedrock and SageMaker. The address follows from the region; a private endpoint's is the operator's."""

from providers.catalog.vendor import CHAT_ONLY, EMBEDDING_ONLY, ConfigField, Vendor
from providers.requesters.aws import DEFAULT_REGION
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.sagemaker import SageMakerRequester
from providers.requesters.titan import TitanEmbeddingRequester

PAIR = "ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN if there is one"
OR_JSON = 'or {"access_key_id": "…", "secret_access_key": "…"}'
BEDROCK_KEY = f"{PAIR}, {OR_JSON}, or a Bedrock API key"

REGIONS = ConfigField(
    "regions",
    "Regions",
    "区域",
    "array",
    default=[DEFAULT_REGION],
    help_text="Calls are spread over these; the key must be good in all of them.",
)
MAX_TOKENS = ConfigField(
    "maxTokens",
    "Max tokens",
    "最大输出 Token",
    "integer",
    help_text="For calls without a limit, and the most that any call gets.",
)
BASE_MODEL = ConfigField(
    "baseModelId",
    "Base model id",
    "基础模型 ID",
    help_text="The model behind an inference profile's ARN: it tells whose quirks to follow.",
)
ENDPOINT = ConfigField(
    "endpointName",
    "Endpoint name",
    "端点名称",
    help_text="For all of this provider's models. Without it each model's upstream name is its endpoint's.",
)

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "bedrock-converse",
        "Amazon Bedrock",
        "",
        requester=BedrockRequester,
        label_zh="亚马逊 Bedrock",
        kinds=CHAT_ONLY,
        fields=(
            REGIONS,
            BASE_MODEL,
            MAX_TOKENS,
            # userguide/claude-messages-extended-thinking.html: 1024 is the least.
            ConfigField(
                "thinking",
                "Thinking",
                "思考",
                "boolean",
                default=False,
                help_text="Lets Claude think in calls that say nothing of it.",
            ),
            ConfigField(
                "thinkBudget",
                "Thinking budget",
                "思考预算",
                "integer",
                default=1024,
                help_text="Tokens for that, 1024 at least. A part of the call's own limit.",
            ),
            # userguide/prompt-caching.html
            ConfigField(
                "promptCache",
                "Prompt cache",
                "提示缓存",
                "object",
                help_text='{"fields": ["system", "messages", "tools"], "messagePositions": [-1]}: where a prefix '
                "ends that is worth caching. Negative positions count from the last turn.",
            ),
        ),
        # The last three are what other gateways called it before Converse.
        aliases=("bedrock", "aws-bedrock", "bedrock-claude3", "bedrock-mistral", "bedrock-llama3"),
        search="aws amazon claude anthropic nova llama mistral converse 亚马逊",
        key_hint=BEDROCK_KEY,
        protocol="",
        derives_address=True,
        note="Models are ids, inference profiles or ARNs. Pictures and files as data URIs only.",
    ),
    Vendor(
        "bedrock-deepseek",
        "DeepSeek on Bedrock",
        "",
        requester=BedrockRequester,
        label_zh="Bedrock 上的 DeepSeek",
        kinds=CHAT_ONLY,
        fields=(REGIONS, MAX_TOKENS),
        search="aws amazon bedrock deepseek r1 亚马逊 深度求索",
        key_hint=BEDROCK_KEY,
        protocol="",
        derives_address=True,
        note="DeepSeek-R1 always thinks; its thoughts come out as reasoning_content.",
    ),
    Vendor(
        "titan-embeddings",
        "Amazon Titan Embeddings",
        "",
        requester=TitanEmbeddingRequester,
        label_zh="亚马逊 Titan 嵌入",
        kinds=EMBEDDING_ONLY,
        fields=(
            REGIONS,
            # userguide/model-parameters-titan-embed-text.html
            ConfigField(
                "dimensions",
                "Dimensions",
                "维度",
                "integer",
                help_text="256, 512 or 1024, for calls that name none. The first version has none to choose.",
            ),
            ConfigField("normalize", "Normalize", "归一化", "boolean", default=True),
        ),
        search="aws amazon bedrock titan cohere embed 亚马逊 嵌入 向量",
        key_hint=BEDROCK_KEY,
        protocol="",
        derives_address=True,
        note="Titan takes one text per call, so a list of many takes its time; Cohere's models take 96.",
    ),
    Vendor(
        "sagemaker-lmi",
        "Amazon SageMaker (LMI)",
        "",
        requester=SageMakerRequester,
        label_zh="亚马逊 SageMaker（LMI）",
        kinds=CHAT_ONLY,
        fields=(ENDPOINT, REGIONS),
        aliases=("sagemaker",),
        search="aws amazon sagemaker lmi djl vllm tgi endpoint 亚马逊",
        key_hint=f"{PAIR}, {OR_JSON}",
        protocol="",
        derives_address=True,
        note="For containers that speak OpenAI's chat schema: LMI, TGI, vLLM.",
    ),
    Vendor(
        "sagemaker-deepseek",
        "DeepSeek on SageMaker",
        "",
        requester=SageMakerRequester,
        label_zh="SageMaker 上的 DeepSeek",
        kinds=CHAT_ONLY,
        fields=(
            ENDPOINT,
            REGIONS,
            ConfigField(
                "platform",
                "Platform",
                "平台",
                help_text="deepseek for JumpStart's container, which tells thoughts and answer apart by itself.",
            ),
            ConfigField(
                "thinking",
                "Thinking",
                "思考",
                "boolean",
                default=False,
                help_text="For other containers: what comes before </think> is taken for thoughts.",
            ),
        ),
        search="aws amazon sagemaker deepseek r1 jumpstart 亚马逊 深度求索",
        key_hint=f"{PAIR}, {OR_JSON}",
        protocol="",
        derives_address=True,
        note="OpenAI's chat schema. Containers that take {inputs, parameters} alone are not supported.",
    ),
)
