"""The shape of every answer: {"success": true, "data": …}, and of every refusal: {"success": false, "data": text,
"error": {…}} (contract A1)."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey, Role
from gateway.dialects.base import new_request_id
from gateway.dialects.brconnector.authentication import KeyAuthentication
from gateway.dialects.brconnector.refusals import NOT_ADMIN, NOT_FOUND, Refusal, refusal_of
from gateway.dialects.service import BytesJSON, ServiceView, headers_of, principal_of


class UserView(ServiceView):
    """The base of this dialect's views: any key that holds."""

    authentication_classes = (KeyAuthentication,)
    renderer_classes = (BytesJSON,)

    def get_exception_handler(self) -> Any:
        return refuse

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["x-request-id"] = request_id_of(request)
        return answer


class AdminView(UserView):
    """What is the administrators' alone: rights of another kind don't open it."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_admin(request)


class UnknownForUsers(UserView):
    """A path of this dialect's that leads nowhere, whatever the method: who asks is looked at first."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        raise Refusal(NOT_FOUND, 404, "not_found", is_status_kept=True)


class UnknownForAdmins(UnknownForUsers):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        check_admin(request)
        super().initial(request, *args, **kwargs)


def check_admin(request: Request) -> None:
    """Raises Refusal."""
    if key_of(request).role != Role.ADMIN:
        raise Refusal(NOT_ADMIN, 403, "not_admin")


def key_of(request: Request) -> ApiKey:
    """Who calls: in this dialect always a key."""
    return cast(ApiKey, principal_of(request).key)


def ok(data: Any, *, is_secret: bool = False) -> Response:
    """`is_secret`: nobody on the way may keep it."""
    headers = {"Cache-Control": "no-store"} if is_secret else None
    return Response({"success": True, "data": data}, headers=headers)


def request_id_of(request: Request) -> str:
    told: str = request.META.setdefault("weighbridge.request_id", new_request_id())
    return told


def refuse(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    request_id = request_id_of(context["request"])
    refusal = refusal_of(error, request_id)
    headers = headers_of(refusal.status, refusal.retry_after)
    return Response(refused(refusal.message, refusal.code, request_id), refusal.status, headers=headers)


def refused(message: str, code: str, request_id: str) -> dict[str, Any]:
    told = {"message": message, "error_type": "Error", "error_code": code, "request_id": request_id}
    return {"success": False, "data": message, "error": told}
