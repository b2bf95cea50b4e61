import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
from gevent import monkey; monkey.patch_all()
import json, sys, time, gevent
from providers.requesters.base import Endpoint, Requester
from providers.requesters.egress import CancelToken, Timeouts, Transport
from providers.requesters.errors import Cancelled, Timeout

requester = Requester(Endpoint(sys.argv[1], sys.argv[2], Timeouts(5, 10, 10, 30)), Transport(allow_private=True))

def body(model):
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}

def attempt(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__

started = time.monotonic()
streams = [gevent.spawn(lambda: len(list(requester.stream(body("slow"))))) for _ in range(50)]
counts = [stream.get() for stream in streams]
parallel_seconds = time.monotonic() - started
again = [gevent.spawn(lambda: len(requester.chat(body("echo")).json["choices"])) for _ in range(50)]
answers = [answer.get() for answer in again]

cancelled = []
for model, call in (("hang", requester.chat), ("hang-midstream", lambda *given: list(requester.stream(*given)))):
    token = CancelToken()
    blocked = gevent.spawn(attempt, lambda: call(body(model), token))
    gevent.sleep(0.3)
    started = time.monotonic()
    token.cancel()
    cancelled.append([blocked.get(timeout=5), time.monotonic() - started < 1])

quick = Requester(Endpoint(sys.argv[1], sys.argv[2], Timeouts(1, 0.3, 0.3, 5)), Transport(allow_private=True))
timeouts = [attempt(lambda: quick.chat(body("hang"))), attempt(lambda: list(quick.stream(body("hang-midstream"))))]
result = {"counts": counts, "seconds": parallel_seconds, "answers": answers}
print(json.dumps({**result, "cancelled": cancelled, "timeouts": timeouts}))
"""


def test_fifty_streams_at_once_and_a_cancel_under_gevent() -> None:
    """The vendor and the gateway in processes of their own, as only one of the two is patched."""
    serve = [sys.executable, "-m", "tests.fakes.openai", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, cwd=ROOT) as fake:
        try:
            assert fake.stdout is not None
            base_url = fake.stdout.readline().strip()
            run = [sys.executable, "-c", SCRIPT, base_url, "sk-fake-upstream"]
            done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
        finally:
            fake.terminate()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["counts"] == [12] * 50
    assert result["answers"] == [1] * 50
    # One after the other they would take 25 seconds.
    assert result["seconds"] < 10
    assert result["cancelled"] == [["Cancelled", True], ["Cancelled", True]]
    assert result["timeouts"] == ["Timeout", "Timeout"]
