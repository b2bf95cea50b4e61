from django.urls import path, re_path

from gateway.dialects.openai import charges, explain, views

urlpatterns = [
    path("chat/completions", views.chat_completions),
    path("completions", views.text_completions),
    path("embeddings", views.embeddings),
    path("rerank", views.rerank),
    path("images/generations", views.images),
    path("audio/speech", views.speech),
    path("audio/transcriptions", views.transcriptions),
    path("moderations", views.moderations),
    path("models", views.models),
    re_path(r"^models/(.+)$", views.model),
    path("route/explain", explain.route_explain),
    path("charges", charges.charge_list),
    re_path(r"^charges/(.+)$", charges.charge),
    path("redeem", charges.redeem),
    re_path(r"^", views.unknown),
]
