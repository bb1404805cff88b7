"""Who shops in the demo. The households are real, but numbers; every name and mobile here is invented."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from config.demo.draws import draw

#: Invented: common given and family names, put together by hash. Nobody is meant.
GIVEN = {
    "IN": (
        "Aarthi Abinaya Anand Arjun Bhavani Deepa Divya Farida Ganesh Gayathri Harish Imran Janani Joseph Kavitha Keerthi "
        "Lakshmi Madhavan Meena Mohan Nandini Naveen Nithya Prakash Priya Rajesh Ramya Revathi Sanjay Selvi Shalini "
        "Suresh Uma Vignesh"
    ),
    "US": (
        "Abigail Aaron Beth Brian Carla Daniel Diane Elena Ethan Fiona Frank Grace Hannah Isaac Jenna Joel Karen Kevin "
        "Laura Marcus Maria Nadia Nathan Olivia Owen Paula Peter Quinn Rachel Rosa Samuel Tessa Victor Wendy"
    ),
}
FAMILY = {
    "IN": (
        "Balan Chandran Das Fernandes George Gopal Iyer Jayaraman Khan Krishnan Kumar Menon Murugan Nair Narayanan Pillai "
        "Rahman Rajan Ramesh Rao Reddy Sekar Sharma Srinivasan Subramaniam Thomas Varghese Venkatesan"
    ),
    "US": (
        "Adler Bennett Brooks Carter Chavez Coleman Doyle Ellis Fischer Foster Greene Hayes Hughes Jensen Kim Lopez Marsh "
        "Mitchell Novak Ortiz Parker Price Reed Rossi Sawyer Sullivan Tran Walsh"
    ),
}


@dataclass(frozen=True, slots=True)
class Person:
    """A household as the shop knows it."""

    mobile: str
    name: str


def invent_people(households: Iterable[int], *, region: str) -> dict[int, Person]:
    """One person a household, no mobile and no name twice. The same households give the same people, whatever the seed."""
    names = [f"{given} {family}" for given, family in product(GIVEN[region].split(), FAMILY[region].split())]
    people: dict[int, Person] = {}
    mobiles: set[str] = set()
    for household in sorted(set(households)):
        mobile = _mobile(household, region=region, taken=mobiles)
        mobiles.add(mobile)
        # Popping what was drawn keeps the names apart.
        people[household] = Person(mobile=mobile, name=names.pop(draw("name", seed=region, key=household) % len(names)))
    return people


def _mobile(household: int, *, region: str, taken: set[str]) -> str:
    """A number of valid length under a prefix that no carrier has given out. Nothing may ever be sent to it."""
    if region == "IN":
        return f"+916500{household:06d}"
    tail = household % 10_000
    while (mobile := f"+1500555{tail:04d}") in taken:
        tail = (tail + 1) % 10_000
    return mobile
