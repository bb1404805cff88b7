"""Play it by hand; without --seed with a random one, which is printed."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.bad_day.month import in_words, survive


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bad_day", description=__doc__)
    parser.add_argument("--seed", default="")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--bills", type=int, default=40, help="a day and chain")
    parser.add_argument("--planted", choices=["lock", "ack", "scope", "clock"], default="", help="a fault that must be found")
    chosen = parser.parse_args()
    seed = chosen.seed or secrets.token_hex(4)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="pointdesk-bad-day-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        report = survive(seed, Path(folder), days=chosen.days, bills=chosen.bills, planted=chosen.planted)
    sys.stdout.write(in_words(report) + "\n")
    return bool(report.problems)


if __name__ == "__main__":
    sys.exit(main())
