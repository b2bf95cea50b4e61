"""What the gateway brings along: its embedded models, and the model that chooses models."""

from providers.catalog.vendor import BUILT_IN, CHAT_AND_EMBEDDING, EMBEDDING_ONLY, ConfigField, Vendor

EMBEDDED = "The embedded all-MiniLM-L6-v2: 384 numbers, no key, no network."

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "local",
        "Embedded model",
        "",
        label_zh="内置模型",
        category=BUILT_IN,
        kinds=CHAT_AND_EMBEDDING,
        search="smollm minilm 本地",
        needs_key=False,
        note="Set up by `manage.py up`, which writes the address.",
    ),
    Vendor(
        "chroma-embedding",
        "Chroma Embedding",
        "",
        label_zh="Chroma 嵌入",
        category=BUILT_IN,
        kinds=EMBEDDING_ONLY,
        search="chromadb vector minilm 向量",
        needs_key=False,
        protocol="",
        is_builtin=True,
        note=EMBEDDED,
    ),
    Vendor(
        "seekdb-embedding",
        "SeekDB Embedding",
        "",
        label_zh="SeekDB 嵌入",
        category=BUILT_IN,
        kinds=EMBEDDING_ONLY,
        search="seek-db vector minilm 向量 数据库",
        needs_key=False,
        protocol="",
        is_builtin=True,
        note=EMBEDDED,
    ),
    Vendor(
        "smart-router",
        "Smart router",
        "",
        label_zh="智能路由",
        category=BUILT_IN,
        fields=(
            ConfigField(
                "rules",
                "Rules",
                "规则",
                "array",
                is_required=True,
                help_text='Models to choose among: [{"name": "gpt-4o", "description": "For hard questions."}, …]',
            ),
            ConfigField(
                "localLlmModel",
                "Choosing model",
                "决策模型",
                is_required=True,
                help_text="The public name of the model that reads the rules and chooses.",
            ),
        ),
        search="router rules 路由",
        needs_key=False,
        protocol="",
        is_router=True,
        note="Has no address: a model on it has another model choose which one answers.",
    ),
)
