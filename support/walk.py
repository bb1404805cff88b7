"""One diagnosis, from the customer to what is found: what the page, the API and the command share."""

from dataclasses import replace

from support import checks, diagnosis, facts
from support.diagnosis import Finding, Reporter
from support.facts import Facts
from support.picture import Picture


def diagnose(picture: Picture, *, reported_by: Reporter = Reporter.CUSTOMER, bill_no: str = "") -> list[Finding]:
    """Every finding, from the reporter's end of the chain; when nothing is wrong, that all is right.

    `bill_no`: a bill that somebody asks about.
    """
    known = facts.gather(picture)
    return findings(slow(about(known, bill_no)), reported_by=reported_by)


def about(known: Facts, bill_no: str) -> Facts:
    """With what is known of a bill's number, if one is named."""
    return replace(known, asked=facts.ask_about(known, bill_no)) if bill_no.strip() else known


def slow(known: Facts) -> Facts:
    """With what the page asks for afterwards, so that it never waits: the dashboards, and bills judged once more."""
    return replace(known, dashboard=facts.ask_dashboard(known.picture.customer), unearned=facts.unearned(known))


def findings(known: Facts, *, reported_by: Reporter) -> list[Finding]:
    return diagnosis.ordered(checks.findings(known), reported_by=reported_by)
