"""Moving in: what is brought over, in the order in which one thing needs the other."""

from gateway.moving.groups import move_groups
from gateway.moving.keys import move_keys
from gateway.moving.ledger import tell_orphans
from gateway.moving.models import move_models
from gateway.moving.move import Move
from gateway.moving.threads import move_threads


def move_in(move: Move) -> None:
    """Fills the move's report. Stopped anywhere, the next run goes on; run again, it finds nothing to do."""
    move_models(move)
    move_groups(move)
    move_keys(move)
    tell_orphans(move)
    move_threads(move)
    move.progress.finish()
