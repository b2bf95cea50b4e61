"""How programs write a model down that know no providers: an id, and one object of all settings.

Each id's row says which of the settings is what here; the rest are the vendor's own (`Vendor.settings`). What is in no
row follows the usual one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.requesters import aws_credentials


@dataclass(frozen=True, slots=True)
class Flat:
    """`name`: what upstream calls the model, by default `default_name`, else its public name; empty: nothing does.

    `address`: where it lives. `key`: one secret. `pairs`: a list of AWS key pairs, for those who take some.
    `required` are those that must not be missing.
    """

    name: str = "model"
    address: str = "baseURL"
    key: str = "apiKey"
    pairs: str = ""
    required: tuple[str, ...] = ()
    default_name: str = ""

    @property
    def own(self) -> frozenset[str]:
        """Those that are no settings of a provider."""
        return frozenset({self.name, self.address, self.key, self.pairs, RETRIES} - {""})


RETRIES = "maxRetries"
COMMA_LISTS = frozenset({"regions"})  # a list, or names with commas between them
KEY_ID, SECRET, SESSION = PAIR = ("accessKeyId", "secretAccessKey", "sessionToken")

USUAL = Flat()
BEDROCK = Flat("modelId", key="bearerToken", pairs="credentials", required=("modelId",))
SAGEMAKER = Flat("endpointName", key="bearerToken", pairs="credentials", required=("endpointName",))

# By the id that such programs know, in the order in which they list them.
FLAT: dict[str, Flat] = {
    "bedrock-converse": BEDROCK,
    "smart-router": Flat("", required=("rules", "localLlmModel")),
    "sagemaker-lmi": SAGEMAKER,
    "ollama": Flat(address="host", required=("host", "model")),
    "titan-embeddings": BEDROCK,
    "openai-compatible": Flat(required=("baseURL", "apiKey")),
    "bedrock-deepseek": BEDROCK,
    "sagemaker-deepseek": SAGEMAKER,
    # Its address goes on to the deployment, so the name may be missing.
    "azure-openai": Flat(required=("baseURL", "apiKey", "apiVersion")),
    "azure-openai-image": Flat(required=("model", "baseURL", "apiKey", "apiVersion")),
    "gemini-converse": Flat(required=("apiKey",), default_name="gemini-pro"),
}


def pair_text(pair: Mapping[str, Any]) -> str:
    """A pair as a key's one text. Raises ValueError for what is none."""
    parts = [pair[name] for name in PAIR if pair.get(name)]
    are_texts = all(isinstance(part, str) and part.strip() and ":" not in part for part in parts)
    if not (are_texts and pair.get(KEY_ID) and pair.get(SECRET)):
        raise ValueError(f"Give objects of {KEY_ID} and {SECRET}, which are texts without colons.")
    return ":".join(part.strip() for part in parts)


def pair_names(secret: str | None) -> tuple[str, ...]:
    """What of a pair a key's text has; nothing: it is no pair. One that can't be read any more passes for one."""
    if secret is None:
        return (KEY_ID, SECRET)
    if ":" not in secret and not secret.lstrip().startswith("{"):
        return ()
    return PAIR if aws_credentials.has_session(secret) else (KEY_ID, SECRET)
