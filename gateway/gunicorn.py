"""How gunicorn serves the gateway: `gunicorn -c gateway/gunicorn.py gateway.wsgi`.

gevent workers: a call lasts for minutes and does nothing but wait, so it gets a greenlet, not a thread.
"""

import os
from typing import Any

worker_class = "gevent"
workers = int(os.environ.get("WEB_WORKERS") or 1)
worker_connections = int(os.environ.get("WORKER_CONNECTIONS") or 4000)
bind = os.environ.get("BIND") or "127.0.0.1:8000"
backlog = 2048
timeout = 120  # without a sign of life from the worker itself; streams may last longer
graceful_timeout = int(os.environ.get("SHUTDOWN_SECONDS") or 30)  # running streams may finish within this
keepalive = 75
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """Settle what a killed predecessor left behind before the first call."""
    from accounts.services.ledger import sweep, writer
    from common.database import borrowed_connection

    with borrowed_connection():
        try:
            swept = sweep.sweep()
            if swept.settled or swept.released:
                worker.log.info("swept holds: %s settled, %s released", swept.settled, swept.released)
        except Exception:
            worker.log.exception("the sweep failed; `manage.py sweep_holds` does it later")
    writer.writer()


def worker_exit(server: Any, worker: Any) -> None:
    """Write what waits in the ledger before the process ends."""
    from accounts.services.ledger import writer

    writer.stop()
