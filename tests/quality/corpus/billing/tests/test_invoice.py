"""Totals, tax and due dates of invoices."""

from datetime import date
from decimal import Decimal

import pytest

from billing.invoice import Invoice, InvoiceLine, next_invoice_number


@pytest.fixture
def invoice():
    lines = [
        InvoiceLine("parcels up to 5 kg", 3, Decimal("4.99")),
        InvoiceLine("books", 2, Decimal("9.95"), tax_rate=Decimal("0.07")),
    ]
    return Invoice("2024-000041", "Bakery Lindt", date(2024, 2, 29), lines)


def test_net_total_is_the_sum_of_the_lines(invoice):
    assert invoice.net_total() == Decimal("34.87")


def test_tax_is_rounded_once_per_rate(invoice):
    assert invoice.tax_by_rate() == {Decimal("0.19"): Decimal("2.84"), Decimal("0.07"): Decimal("1.39")}


def test_gross_total_and_outstanding(invoice):
    assert invoice.gross_total() == Decimal("39.10")
    invoice.paid = Decimal("50")
    assert invoice.outstanding() == 0


def test_due_date_crosses_the_month(invoice):
    assert invoice.due == date(2024, 3, 14)


def test_invoice_numbers_have_no_gaps():
    assert next_invoice_number("2024-000041") == "2024-000042"
