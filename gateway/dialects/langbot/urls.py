from django.urls import path

from gateway.dialects.langbot.requesters import RequesterDetail, RequesterIcon, RequesterList

urlpatterns = [
    path("provider/requesters", RequesterList.as_view()),
    path("provider/requesters/<str:name>", RequesterDetail.as_view()),
    path("provider/requesters/<str:name>/icon", RequesterIcon.as_view()),
]
