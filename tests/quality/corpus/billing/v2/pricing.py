"""Pricing, version 2: zones by distance, volumetric weight, and a surcharge that follows the price of diesel."""

from dataclasses import dataclass
from decimal import Decimal

#: Price of the first kilogram and of each further one, by zone.
ZONES = {
    "city": (Decimal("3.20"), Decimal("0.40")),
    "region": (Decimal("3.90"), Decimal("0.55")),
    "country": (Decimal("4.60"), Decimal("0.75")),
    "island": (Decimal("9.80"), Decimal("1.60")),
}
#: Cubic centimetres that count as one kilogram.
VOLUMETRIC_DIVISOR = 5000
EXPRESS_FACTOR = Decimal("1.6")


@dataclass(frozen=True)
class Parcel:
    weight_kg: Decimal
    length_cm: int
    width_cm: int
    height_cm: int

    def chargeable_weight(self) -> Decimal:
        """The larger of what it weighs and the room that it takes."""
        volume = Decimal(self.length_cm * self.width_cm * self.height_cm) / VOLUMETRIC_DIVISOR
        return max(self.weight_kg, volume)


def fuel_surcharge(diesel_price: Decimal) -> Decimal:
    """One percent for each five cents above 1.50 a litre, at most twelve."""
    steps = int(max(diesel_price - Decimal("1.50"), 0) / Decimal("0.05"))
    return Decimal(min(steps, 12)) / 100


def quote_price(parcel: Parcel, zone: str, diesel_price: Decimal, express: bool = False) -> Decimal:
    """The price of one parcel."""
    first, further = ZONES[zone]
    kilograms = parcel.chargeable_weight().to_integral_value(rounding="ROUND_CEILING")
    price = first + further * max(kilograms - 1, 0)
    if express:
        price *= EXPRESS_FACTOR
    return (price * (1 + fuel_surcharge(diesel_price))).quantize(Decimal("0.01"))


def bulk_discount(parcels_per_month: int) -> Decimal:
    """Grows with volume: five percent from 100 parcels a month, twelve from 1000."""
    if parcels_per_month >= 1000:
        return Decimal("0.12")
    return Decimal("0.05") if parcels_per_month >= 100 else Decimal(0)
