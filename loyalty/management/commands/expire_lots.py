from loyalty import sweeps
from loyalty.management.commands._sweep import SweepCommand


class Command(SweepCommand):
    help = "Take what is left of every lot whose date passed. Beat runs it every ten minutes."
    sweep = sweeps.expire_lots
    failed_is = "customer"
