"""`python -m bench`: measure the gateway on SQLite and PostgreSQL, and with `--peer litellm` LiteLLM beside it.

Figures go to standard output, progress to standard error. The exit code is 1 when something failed (a call that was not
answered with 200, a ledger that does not add up); a missed target is only printed, since it may be the machine's.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType

from bench import gateway, peer, report
from bench.processes import BenchError, StubUpstream, allow_open_files, say
from bench.runs import Plan, Results, Subject, measure

FULL = Plan(4000, streamed_calls=2000, single_calls=500, paced_seconds=8, rounds=3, streams=1000, stream_seconds=20)
QUICK = Plan(1000, streamed_calls=500, single_calls=100, paced_seconds=4, rounds=1, streams=1000, stream_seconds=8)
# The peer is an order of magnitude slower, and its figures are per call all the same.
PEER_SHARE = 4


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=[*gateway.DATABASES, "both"], default="both")
    parser.add_argument("--peer", choices=peer.PEERS, help="measure this gateway too, in the same session")
    parser.add_argument("--quick", action="store_true", help="a quarter of the calls, once")
    parser.add_argument("--streams", type=int, help="how many streams to hold open (0: none)")
    parser.add_argument("--limits", choices=[*gateway.LIMITS], default="none", help="put three on the key")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to this file")
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace) -> Plan:
    plan = QUICK if arguments.quick else FULL
    return plan if arguments.streams is None else replace(plan, streams=arguments.streams)


def peer_plan(plan: Plan) -> Plan:
    return replace(
        plan,
        calls=plan.calls // PEER_SHARE,
        streamed_calls=plan.streamed_calls // PEER_SHARE,
        single_calls=plan.single_calls // PEER_SHARE,
        streams=0,
    )


def run(arguments: argparse.Namespace, results: Results, peers: list[str]) -> None:
    """Fill in the figures of every subject, and which of them are peers."""
    plan = plan_of(arguments)
    allow_open_files(plan.streams * 2 + 1024)
    kinds = list(gateway.DATABASES) if arguments.database == "both" else [arguments.database]
    with tempfile.TemporaryDirectory(prefix="wb-upstream-") as directory, ExitStack() as servers:
        upstream = servers.enter_context(StubUpstream(Path(directory)))
        plans: dict[Subject, Plan] = {}
        for kind in kinds:
            say(f"Starting the gateway on {gateway.DATABASES[kind]} ...")
            plans[servers.enter_context(gateway.serving(kind, upstream.url, arguments.limits))] = plan
        if arguments.peer:
            say(f"Starting {arguments.peer} ...")
            rival = servers.enter_context(peer.serving(upstream.url))
            peers.append(rival.name)
            plans[rival] = peer_plan(plan)
        measure(plans, Subject("direct", upstream.url, "sk-bench"), results, say)


def show(results: Results, peers: list[str], load_before: float) -> None:
    print(", ".join(f"{name} {value}" for name, value in report.machine(load_before).items()), end="\n\n")
    print(report.table(results))
    for ratio in report.ratios(results, peers):
        print(f"\n- {ratio}", end="")
    print(flush=True)


def leave(signal_number: int, frame: FrameType | None) -> None:
    """A polite kill unwinds the blocks that stop the servers."""
    sys.exit(128 + signal_number)


def main() -> int:
    signal.signal(signal.SIGTERM, leave)
    arguments = parsed()
    results: Results = {}
    peers: list[str] = []
    failure = ""
    load_before = os.getloadavg()[0]
    try:
        run(arguments, results, peers)
    except BenchError as error:
        failure = str(error)
    if results:
        show(results, peers, load_before)
    if arguments.json and not failure:
        arguments.json.write_text(json.dumps(report.as_json(results, peers, load_before), indent=1) + "\n")
    if failure:
        say(f"bench: {failure}")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
