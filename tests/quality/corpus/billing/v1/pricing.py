"""Pricing, version 1: one table of weight classes for the whole country."""

from decimal import Decimal

#: Upper bound in kilograms and price.
WEIGHT_CLASSES = [
    (2, Decimal("3.99")),
    (5, Decimal("4.99")),
    (10, Decimal("7.49")),
    (20, Decimal("11.99")),
    (31, Decimal("16.49")),
]
EXPRESS_SURCHARGE = Decimal("5.00")


class TooHeavy(ValueError):
    """Nobody carries this alone."""


def quote_price(weight_kg: float, express: bool = False) -> Decimal:
    """The price of one parcel by weight alone."""
    for upper, price in WEIGHT_CLASSES:
        if weight_kg <= upper:
            return price + (EXPRESS_SURCHARGE if express else 0)
    raise TooHeavy(f"{weight_kg} kg is over {WEIGHT_CLASSES[-1][0]} kg")


def bulk_discount(parcels_per_month: int) -> Decimal:
    """Ten percent for regular customers."""
    return Decimal("0.10") if parcels_per_month >= 100 else Decimal(0)
