"""What would a bill earn, under which rule, and why? The booking's own rules on a purchase; nothing is written."""

from collections.abc import Collection
from dataclasses import dataclass

from loyalty.bonus import Judgement
from loyalty.campaigns import CampaignBook, History
from loyalty.earning import Earned, Purchase, Rule, SoFar, earned
from loyalty.programmes import RuleBook
from loyalty.state import Terms
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a purchase would earn. `bonuses`: every live rule, those of its day and store first, each with all its conditions."""

    rule: Rule
    purchase: Purchase
    so_far: SoFar
    earned: Earned
    terms: Terms
    bonuses: tuple[Judgement, ...]

    @property
    def total(self) -> int:
        return self.earned.points + sum(bonus.points for bonus in self.bonuses)


def simulate(
    tenant: Tenant,
    purchase: Purchase,
    *,
    store_id: int | None,
    customer_id: int | None = None,
    rule: Rule | None = None,
    without_bills: Collection[int] = (),
) -> Simulated:
    """Judge a purchase by the rule in force on its day at its store, or by another `rule`.

    Without a customer: as a first purchase, in no cohort. `without_bills`: booked bills whose own points do not count as earlier ones.
    Raises: DomainError `no_rule`.
    """
    rule = rule or RuleBook(tenant).rule(store_id=store_id, on=purchase.on)
    book = CampaignBook(tenant)
    so_far = SoFar()
    if customer_id is not None:
        so_far = History(tenant, [customer_id], without_bills=without_bills).so_far(
            customer_id, on=purchase.on, store_id=store_id
        )
        book.about([customer_id], without_bills=without_bills)
    result = earned(rule, purchase, so_far)
    judged = book.judge(purchase, customer_id=customer_id or 0, so_far=so_far, earns=result.points, among=book.campaigns)
    judged.sort(key=lambda each: (not each.campaign.concerns(purchase), not each.awarded, each.campaign.name))
    return Simulated(rule, purchase, so_far, result, rule.terms(purchase.on), tuple(judged))
