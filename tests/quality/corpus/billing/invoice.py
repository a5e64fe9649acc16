"""Invoices: lines, value-added tax, and totals that add up to the cent."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")
PAYMENT_DAYS = 14


@dataclass(frozen=True)
class InvoiceLine:
    """One position: so many parcels at such a price."""

    description: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal = Decimal("0.19")

    @property
    def net(self) -> Decimal:
        return (self.quantity * self.unit_price).quantize(CENT, rounding=ROUND_HALF_EVEN)


@dataclass
class Invoice:
    """What a customer owes for one month."""

    number: str
    customer: str
    issued: date
    lines: list[InvoiceLine] = field(default_factory=list)
    paid: Decimal = Decimal(0)

    @property
    def due(self) -> date:
        return self.issued + timedelta(days=PAYMENT_DAYS)

    def net_total(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    def tax_by_rate(self) -> dict[Decimal, Decimal]:
        """Tax per rate. Rounded once per rate, not per line: the tax office's own rule."""
        bases: dict[Decimal, Decimal] = {}
        for line in self.lines:
            bases[line.tax_rate] = bases.get(line.tax_rate, Decimal(0)) + line.net
        return {rate: (base * rate).quantize(CENT, rounding=ROUND_HALF_EVEN) for rate, base in bases.items()}

    def gross_total(self) -> Decimal:
        return self.net_total() + sum(self.tax_by_rate().values(), Decimal(0))

    def outstanding(self) -> Decimal:
        """What is still to be paid; never below zero, overpayment is a credit note."""
        return max(self.gross_total() - self.paid, Decimal(0))


def next_invoice_number(last: str) -> str:
    """Numbers have no gaps: 2024-000041 is followed by 2024-000042."""
    year, running = last.split("-")
    return f"{year}-{int(running) + 1:06d}"
