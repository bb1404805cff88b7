from loyalty import sweeps
from loyalty.management.commands._sweep import SweepCommand


class Command(SweepCommand):
    help = "Make pending points available whose day came. Beat runs it every ten minutes."
    sweep = sweeps.activate_pending
    failed_is = "customer"
