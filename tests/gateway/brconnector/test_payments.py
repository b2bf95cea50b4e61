"""What was put on balances: the newest first, to the last decimal."""

from tests.gateway.brconnector.api import Api

LIST = "/admin/payment/list"


def key(api: Api) -> int:
    return int(api.post("/admin/api-key/apply", {"name": "jack"})["id"])


def test_the_newest_first_and_every_decimal(api: Api) -> None:
    first, second = key(api), key(api)
    amounts = ["0.23", "1", "0.0000000001", "12.5", "800000000.1234567891"]
    for place, amount in enumerate(amounts):
        api.post("/admin/api-key/recharge", {"id": second if place % 2 else first, "balance": amount})
    shown = ["800000000.1234567891", "12.50", "0.0000000001", "1.00", "0.23"]
    assert [row["fee"] for row in api.get(LIST)["items"]] == shown
    assert [row["fee"] for row in api.get(LIST, key_id=first)["items"]] == shown[::2]
    assert [row["key_id"] for row in api.get(LIST, key_id=second, limit=1)["items"]] == [second]
    assert api.get(LIST, limit=2, offset=1)["total"] == 5


def test_a_refused_recharge_is_no_payment(api: Api) -> None:
    id = key(api)
    for balance in (0, -1, None, "", "x", True, [1], 1e10, "1e-11", "NaN", "Infinity"):
        assert api.refusal("/admin/api-key/recharge", {"id": id, "balance": balance})
    assert api.get(LIST)["total"] == 0
