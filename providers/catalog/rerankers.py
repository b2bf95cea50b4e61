"""Those whose models put documents in order, and do nothing else here."""

from providers.catalog.vendor import RERANK, Vendor
from providers.requesters.rerank import CohereRerankRequester, JinaRerankRequester, VoyageRerankRequester

RERANK_ONLY = frozenset({RERANK})

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "cohere-rerank",
        "Cohere",
        "https://api.cohere.com/v2",
        requester=CohereRerankRequester,
        label_zh="Cohere",
        kinds=RERANK_ONLY,
        search="rerank-v3.5 reranker 重排序",
        protocol="cohere",
    ),
    Vendor(
        "jina-rerank",
        "Jina",
        "https://api.jina.ai/v1",
        requester=JinaRerankRequester,
        label_zh="Jina",
        kinds=RERANK_ONLY,
        search="jina-reranker 重排序",
        note="Has no list of models: a check ranks one word.",
    ),
    Vendor(
        "voyageai-rerank",
        "Voyage AI",
        "https://api.voyageai.com/v1",
        requester=VoyageRerankRequester,
        label_zh="Voyage AI",
        kinds=RERANK_ONLY,
        search="rerank-2.5 reranker mongodb 重排序",
        note="Has no list of models: a check ranks one word.",
    ),
)
