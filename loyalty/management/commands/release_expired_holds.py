from loyalty import sweeps
from loyalty.management.commands._sweep import SweepCommand


class Command(SweepCommand):
    help = "Free the points of every hold whose completion bill did not come in time. Beat runs it every minute."
    sweep = sweeps.release_expired_holds
    failed_is = "hold"
