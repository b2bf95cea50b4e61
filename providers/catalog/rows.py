"""All rows, in the order of their files."""

from providers.catalog import aggregators, aws, azure, builtin, google, manufacturers, rerankers, selfhosted, servers
from providers.catalog.vendor import Vendor

ROWS: tuple[Vendor, ...] = (
    *manufacturers.ROWS,
    *google.ROWS,
    *rerankers.ROWS,
    *aggregators.ROWS,
    *aws.ROWS,
    *azure.ROWS,
    *servers.ROWS,
    *selfhosted.ROWS,
    *builtin.ROWS,
)
