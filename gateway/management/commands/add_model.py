from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import GatewayCommand, amount, json_object
from providers.models import AIModel, Kind, Provider, Strategy, UnknownParams

PLAIN = (
    *("name", "kind", "context_length", "max_output", "weight", "priority"),
    *("extra_args", "strategy", "unknown_params"),
)
FALLBACKS = {
    "fallbacks": "Names to try when this model fails.",
    "context_fallbacks": "Names to try when the prompt is too long for it.",
    "filter_fallbacks": "Names to try when the vendor's filter refuses.",
}
CEILINGS = ("max_rpm", "max_tpm", "max_parallel")
PRICES = ("price_in", "price_out", "price_cached_read", "price_cached_write")


class Command(GatewayCommand):
    help = "Add a model under the public name that callers use."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="The public name.")
        parser.add_argument("--provider", required=True, help="The provider's name.")
        parser.add_argument("--upstream-name", default="", help="What the provider calls it. Default: the public name.")
        parser.add_argument("--kind", choices=Kind.values, default=Kind.LLM)
        for price in PRICES:
            parser.add_argument(f"--{price.replace('_', '-')}", type=amount, help="USD per million tokens.")
        parser.add_argument("--context-length", type=int)
        parser.add_argument("--max-output", type=int)
        parser.add_argument("--weight", type=int, default=1)
        parser.add_argument("--priority", type=int, default=0)
        parser.add_argument("--strategy", choices=Strategy.values, default=Strategy.WEIGHTED)
        for name, when in FALLBACKS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", nargs="+", default=[], metavar="MODEL", help=when)
        for ceiling in CEILINGS:
            parser.add_argument(f"--{ceiling.replace('_', '-')}", type=int, help="Ceiling of this deployment.")
        parser.add_argument("--unknown-params", choices=UnknownParams.values, default=UnknownParams.DROP)
        parser.add_argument("--hedged", action="store_true", help="Ask a second deployment when this one is slow.")
        parser.add_argument("--multimodal", action="store_true", help="It takes images.")
        parser.add_argument("--extra-args", type=json_object, default={}, help="JSON sent with each call.")

    def handle(self, *args: Any, **options: Any) -> None:
        provider = Provider.objects.filter(name=options["provider"]).first()
        if provider is None:
            raise CommandError(f"There is no provider {options['provider']!r}.")
        fields = (*PLAIN, *PRICES, *FALLBACKS, *CEILINGS)
        model = AIModel(
            provider=provider,
            upstream_name=options["upstream_name"] or options["name"],
            is_multimodal=options["multimodal"],
            is_hedged=options["hedged"],
            **{field: options[field] for field in fields},
        )
        model.full_clean()
        model.save()
        content = {"id": model.pk, "uuid": str(model.uuid), "name": model.name, "provider": provider.name}
        self.show(options, {**content, "priced": model.is_priced})
