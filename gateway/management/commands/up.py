"""`manage.py up`: database, first admin, first key, embedded models and web server, until Ctrl-C."""

import sys
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import Error, connection, connections

from gateway.up import CannotStart, embedded, first_run
from gateway.up.banner import banner
from gateway.up.guards import check_port, only_one, own_address
from gateway.up.supervisor import Supervisor, write

CONNECT_SECONDS = 10


class Command(BaseCommand):
    help = "Start everything on this machine: database, first admin and key, embedded models, web server."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with only_one(settings.VAR_DIR):
                check_port(settings.HOST, settings.PORT)
                ports = prepare()
                code = serve(ports)
        except CannotStart as error:
            sys.exit(str(error))
        except Error as error:
            sys.exit(f"The database can't be used: {str(error).strip().splitlines()[0]}")
        except KeyboardInterrupt:
            code = 130
        sys.exit(code)


def prepare() -> embedded.Ports | None:
    """Bring the database up to date, and say where the embedded models shall listen."""
    write("Preparing the database...")
    check_database()
    call_command("migrate", verbosity=0, interactive=False)
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    if settings.EMBEDDED_MODEL:
        return embedded.install()
    embedded.switch_off()
    return None


def check_database() -> None:
    """Ask PostgreSQL without the pool, which would wait and then hide why behind its own time-out."""
    if connection.vendor == "postgresql":
        parameters = {"connect_timeout": CONNECT_SECONDS, **connection.get_connection_params()}
        with connection.wrap_database_errors:
            psycopg.connect(**parameters).close()


def serve(ports: embedded.Ports | None) -> int:
    write("Starting the web server and the embedded models..." if ports else "Starting the web server...")
    with Supervisor(write) as supervisor:
        supervisor.start(ports)
        found = first_run.ensure(planned(ports))  # hashing a password takes as long as the start: meanwhile
        release_database()
        if supervisor.wait_until_ready(ports):
            write(banner(found))
        return supervisor.run()


def planned(ports: embedded.Ports | None) -> first_run.FirstRun:
    url = f"http://{own_address(settings.HOST, settings.PORT)}"
    if ports is None:
        return first_run.FirstRun(url)
    return first_run.FirstRun(url, model=embedded.CHAT.model, embedding_model=embedded.EMBEDDING.model)


def release_database() -> None:
    """From here on this process only watches; PostgreSQL's pool would keep connections and threads."""
    for each in connections.all(initialized_only=True):
        each.close()
        close_pool = getattr(each, "close_pool", None)
        if close_pool:
            close_pool()
