"""Money under races, over real sockets, with two worker processes, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import requests

from tests.served.gateway import ServedGateway

BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
FEE = Decimal("0.01")  # 10 tokens at 1000 USD per million


def call(gateway: ServedGateway, secret: str, **fields: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}"}
    return requests.post(f"{gateway.url}/v1/chat/completions", json={**BODY, **fields}, headers=headers, timeout=60)


def burst(gateway: ServedGateway, secret: str, calls: int, **fields: object) -> list[requests.Response]:
    with ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda _: call(gateway, secret, **fields), range(calls)))


def set_price(gateway: ServedGateway, usd: int) -> None:
    gateway.manage("shell", "-v0", "-c", f"AIModel.objects.filter(name='echo').update(price_out={usd})")


def test_200_parallel_calls_on_a_key_that_can_pay_for_50_settle_to_exactly_what_it_could_pay(
    gateway: ServedGateway,
) -> None:
    secret = gateway.create_key("--balance", str(50 * FEE))
    answers = burst(gateway, secret, 200)
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 50
    assert statuses.count(429) == 150
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    row = f"SELECT balance, held, spent FROM accounts_apikey WHERE prefix = '{secret[:10]}'"
    assert gateway.rows(row) == [(0, 0, 5_000_000_000)]
    assert gateway.audit() == "The ledger is whole."


def test_a_month_quota_is_spent_to_the_last_unit_and_then_the_balance(gateway: ServedGateway) -> None:
    secret = gateway.create_key("--quota", str(20 * FEE), "--balance", str(30 * FEE))
    statuses = [answer.status_code for answer in burst(gateway, secret, 100)]
    assert statuses.count(200) == 50
    row = f"SELECT month_fee, balance, held FROM accounts_apikey WHERE prefix = '{secret[:10]}'"
    assert gateway.rows(row) == [(2_000_000_000, 0, 0)]
    assert gateway.audit() == "The ledger is whole."


def test_streams_race_like_whole_answers(gateway: ServedGateway) -> None:
    secret = gateway.create_key("--balance", str(10 * FEE))
    answers = burst(gateway, secret, 40, stream=True)
    assert sorted({answer.status_code for answer in answers}) == [200, 429]
    assert sum(answer.status_code == 200 for answer in answers) == 10
    assert gateway.audit() == "The ledger is whole."


def test_the_last_money_buys_a_shorter_answer(gateway: ServedGateway) -> None:
    secret = gateway.create_key("--balance", "0.0149")
    first, second, third = (call(gateway, secret) for _ in range(3))
    assert first.headers["x-weighbridge-cost"] == "0.01"
    assert second.headers["x-weighbridge-max-tokens"] == "4"
    assert second.json()["usage"]["completion_tokens"] == 4
    assert third.status_code == 429
    assert gateway.audit() == "The ledger is whole."


def test_a_key_revoked_elsewhere_is_refused_by_every_worker_at_once(gateway: ServedGateway) -> None:
    secret = gateway.create_key()
    assert {answer.status_code for answer in burst(gateway, secret, 20)} == {200}
    gateway.manage("revoke_key", secret[:10])
    assert {answer.status_code for answer in burst(gateway, secret, 20)} == {401}


def test_an_edit_holds_for_the_next_call_of_every_worker(gateway: ServedGateway) -> None:
    secret = gateway.create_key()
    assert {answer.status_code for answer in burst(gateway, secret, 20)} == {200}
    set_price(gateway, 2000)
    costs = {answer.headers["x-weighbridge-cost"] for answer in burst(gateway, secret, 20)}
    set_price(gateway, 1000)
    assert costs == {"0.02"}
