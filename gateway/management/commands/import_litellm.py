from typing import Any

from gateway.declaration import litellm, reading, taking
from gateway.management.declaring import DeclaringCommand


class Command(DeclaringCommand):
    help = (
        "Take over a LiteLLM proxy's config.yaml: providers, keys, models, prices, ceilings, fallbacks and aliases. "
        "What has no place here is listed, line by line. A second time nothing changes."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        text = self.read(options)
        is_dry = options["dry_run"] or options["check"]
        converted = self.run(options, lambda: litellm.convert(reading.parse(text)))

        def work() -> Any:
            return taking.take(converted.document, resolve=converted.secrets.resolve, is_dry_run=is_dry)

        self.tell(options, self.run(options, work), converted.report)
