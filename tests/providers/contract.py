"""The kinds of provider that LangBot's users know: section by section what its 4.11.2 ships, for tests.

Name, default base URL, types (L language model, E embedding, R rerank), its word for the wire, category, settings
(T: base_url and timeout; A: args as well; X: LiteLLM's; B: base_url only).
"""

TABLE = """
302-ai-chat-completions | https://api.302.ai/v1 | LER | openai | maas | T
anthropic-messages | https://api.anthropic.com | L | anthropic | manufacturer | T
baidu-chat-completions | https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop | LER | openai | manufacturer | T
bailian-chat-completions | https://dashscope.aliyuncs.com/compatible-mode/v1 | LER | openai | maas | T
chroma-embedding | - | E | - | builtin | none
cohere-rerank | https://api.cohere.com/v2 | R | cohere | manufacturer | T
compshare-chat-completions | https://api.modelverse.cn/v1 | LER | openai | maas | T
deepseek-chat-completions | https://api.deepseek.com | L | deepseek | manufacturer | T
doubao-chat-completions | https://ark.cn-beijing.volces.com/api/v3 | LER | openai | manufacturer | T
gemini-chat-completions | https://generativelanguage.googleapis.com/v1beta/openai | LE | gemini | manufacturer | T
gitee-ai-chat-completions | https://ai.gitee.com/v1 | LER | openai | maas | T
groq-chat-completions | https://api.groq.com/openai/v1 | L | groq | manufacturer | T
iflytek-chat-completions | https://spark-api-open.xf-yun.com/v1 | LER | openai | manufacturer | T
jiekouai-chat-completions | https://api.jiekou.ai/openai | LER | openai | maas | A
jina-rerank | https://api.jina.ai/v1 | R | openai | manufacturer | T
litellm-chat | - | LER | - | unified | X
lmstudio-chat-completions | http://127.0.0.1:1234/v1 | LE | openai | self-hosted | T
mimo-chat-completions | https://api.xiaomimimo.com/v1 | LER | openai | manufacturer | T
minimax-chat-completions | https://api.minimax.chat/v1 | LER | openai | manufacturer | T
mistral-chat-completions | https://api.mistral.ai/v1 | LE | mistral | manufacturer | T
modelscope-chat-completions | https://api-inference.modelscope.cn/v1 | LER | openai | maas | A
moonshot-chat-completions | https://api.moonshot.ai/v1 | L | openai | manufacturer | T
moonshot-cn-chat-completions | https://api.moonshot.cn/v1 | L | openai | manufacturer | T
new-api-chat-completions | http://localhost:3000/v1 | LER | openai | maas | T
ollama-chat | http://127.0.0.1:11434 | LE | ollama_chat | self-hosted | O
openai-chat-completions | https://api.openai.com/v1 | LE | openai | manufacturer | T
openai-codex | https://chatgpt.com/backend-api/codex | L | - | manufacturer | B
openrouter-chat-completions | https://openrouter.ai/api/v1 | LER | openai | maas | T
ppio-chat-completions | https://api.ppinfra.com/v3/openai | LER | openai | maas | A
qhaigc-chat-completions | https://api.qhaigc.net/v1 | LER | openai | maas | A
qiniu-chat-completions | https://api.qnaigc.com/v1 | LER | - | maas | T
seekdb-embedding | - | E | - | builtin | none
shengsuanyun-chat-completions | https://router.shengsuanyun.com/api/v1 | LER | openai | maas | A
siliconflow-chat-completions | https://api.siliconflow.cn/v1 | LER | openai | maas | T
space-chat-completions | https://api.langbot.cloud/v1 | LER | openai | maas | T
tencent-chat-completions | https://hunyuan.tencentcloudapi.com/v1 | LER | openai | manufacturer | T
together-chat-completions | https://api.together.xyz/v1 | LER | together_ai | manufacturer | T
tokenlab-chat-completions | https://api.tokenlab.sh/v1 | L | openai | maas | T
tokenpony-chat-completions | https://api.tokenpony.cn/v1 | LER | openai | maas | T
volcark-chat-completions | https://ark.cn-beijing.volces.com/api/v3 | LER | openai | maas | T
voyageai-rerank | https://api.voyageai.com/v1 | R | openai | manufacturer | T
xai-chat-completions | https://api.x.ai/v1 | L | openai | manufacturer | T
yi-chat-completions | https://api.lingyiwanwu.com/v1 | LER | openai | manufacturer | T
zhipuai-chat-completions | https://open.bigmodel.cn/api/paas/v4 | LER | openai | manufacturer | T
"""
ROWS = [
    tuple(cell.strip().replace("-", "", 1) if cell.strip() == "-" else cell.strip() for cell in line.split("|"))
    for line in TABLE.strip().splitlines()
]
NAMES = {row[0] for row in ROWS}
# Of BRConnector, those provider ids that are a model's endpoint.
OTHER_NAMES = {
    *("bedrock-converse", "smart-router", "sagemaker-lmi", "ollama", "titan-embeddings", "openai-compatible"),
    *("bedrock-deepseek", "sagemaker-deepseek", "azure-openai", "azure-openai-image", "gemini-converse"),
}
TYPES = {"L": "llm", "E": "embedding", "R": "rerank"}
FIELDS = {
    "T": ["base_url", "timeout"],
    "A": ["base_url", "timeout", "args"],
    "X": ["base_url", "timeout", "custom_llm_provider", "drop_params", "num_retries", "api_version"],
    "B": ["base_url"],
    "O": ["base_url", "timeout", "keep_alive", "num_ctx"],
    "none": [],
}
