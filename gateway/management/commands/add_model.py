from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import GatewayCommand, amount, json_object
from providers.models import AIModel, Kind, Provider, Strategy, UnknownParams

PLAIN = ("name", "kind", "extra_args", "strategy", "unknown_params")
FALLBACKS = {
    "fallbacks": "Names to try when this model fails.",
    "context_fallbacks": "Names to try when the prompt is too long for it.",
    "filter_fallbacks": "Names to try when the vendor's filter refuses.",
}
PRICES = {
    "price_in": "USD per million tokens.",
    "price_out": "USD per million tokens.",
    "price_cached_read": "Default: --price-in.",
    "price_cached_write": "Default: --price-in.",
}
NUMBERS: dict[str, tuple[int | None, str]] = {
    "context_length": (None, "Tokens of prompt and answer."),
    "max_output": (None, "Tokens of one answer, at most."),
    "weight": (1, "Share among models of its name and priority. Default: 1."),
    "priority": (0, "Lower is tried first. Default: 0."),
    "max_rpm": (None, "Requests a minute, at most."),
    "max_tpm": (None, "Tokens a minute, at most."),
    "max_parallel": (None, "Calls at a time, at most."),
}


class Command(GatewayCommand):
    help = "Add a model under the public name that callers use."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="The public name.")
        parser.add_argument("--provider", required=True, help="The provider's name.")
        parser.add_argument("--upstream-name", default="", help="What the provider calls it. Default: the public name.")
        parser.add_argument("--kind", choices=Kind.values, default=Kind.LLM, help="Default: llm.")
        for name, meaning in PRICES.items():
            parser.add_argument(_option(name), type=amount, metavar="USD", help=meaning)
        for name, (default, meaning) in NUMBERS.items():
            parser.add_argument(_option(name), type=int, default=default, metavar="N", help=meaning)
        parser.add_argument(
            "--strategy",
            choices=Strategy.values,
            default=Strategy.WEIGHTED,
            help="Who is asked first among models of its name and priority. Default: weighted.",
        )
        for name, when in FALLBACKS.items():
            parser.add_argument(_option(name), nargs="+", default=[], metavar="MODEL", help=when)
        parser.add_argument(
            "--unknown-params",
            choices=UnknownParams.values,
            default=UnknownParams.DROP,
            help="What becomes of parameters that the upstream does not know. Default: drop.",
        )
        parser.add_argument("--hedged", action="store_true", help="Ask a second deployment when this one is slow.")
        parser.add_argument("--multimodal", action="store_true", help="It takes images.")
        parser.add_argument("--extra-args", type=json_object, default={}, help="JSON sent with each call.")

    def handle(self, *args: Any, **options: Any) -> None:
        provider = Provider.objects.filter(name=options["provider"]).first()
        if provider is None:
            raise CommandError(f"There is no provider {options['provider']!r}.")
        fields = (*PLAIN, *PRICES, *NUMBERS, *FALLBACKS)
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


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
