"""Exchange rates of the day and conversion between currencies."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

#: Minor units that are not two digits.
DIGITS = {"JPY": 0, "KWD": 3}
#: Banks publish nothing on weekends and holidays; this far back a rate is still good.
STALE_AFTER = timedelta(days=4)


class MissingRate(LookupError):
    """There is no rate that is young enough."""


class RateTable:
    """Rates against the euro by day, as the central bank publishes them."""

    def __init__(self, rates: dict[date, dict[str, Decimal]]):
        self._rates = rates

    @classmethod
    def read_csv(cls, path: Path) -> RateTable:
        rates: dict[date, dict[str, Decimal]] = {}
        with path.open(newline="") as lines:
            for row in csv.DictReader(lines):
                day = date.fromisoformat(row["date"])
                rates.setdefault(day, {})[row["currency"]] = Decimal(row["rate"])
        return cls(rates)

    def rate(self, currency: str, day: date) -> Decimal:
        """Units of `currency` for one euro on `day`, or on the last day before it that has a rate."""
        if currency == "EUR":
            return Decimal(1)
        back = day
        while day - back <= STALE_AFTER:
            found = self._rates.get(back, {}).get(currency)
            if found is not None:
                return found
            back -= timedelta(days=1)
        raise MissingRate(f"no rate for {currency} within {STALE_AFTER.days} days before {day}")

    def convert(self, amount: Decimal, source: str, target: str, day: date) -> Decimal:
        """Converts by way of the euro and rounds to the target's minor unit."""
        euros = amount / self.rate(source, day)
        digits = DIGITS.get(target, 2)
        return (euros * self.rate(target, day)).quantize(Decimal(1).scaleb(-digits))
