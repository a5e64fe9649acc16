"""Reminders for customers who have not paid: friendly first, then firm, then a stop of service."""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from billing.invoice import Invoice


class Step(Enum):
    NONE = 0
    FRIENDLY_REMINDER = 1
    SECOND_REMINDER = 2
    FINAL_NOTICE = 3
    SUSPEND = 4


#: Days after the due date at which each step is taken.
LADDER = [(3, Step.FRIENDLY_REMINDER), (14, Step.SECOND_REMINDER), (28, Step.FINAL_NOTICE), (42, Step.SUSPEND)]


@dataclass
class Account:
    """How far a customer has come on the ladder."""

    customer: str
    reached: Step = Step.NONE
    paused_until: date | None = None


def overdue_days(invoice: Invoice, today: date) -> int:
    if invoice.outstanding() == 0:
        return 0
    return max((today - invoice.due).days, 0)


def next_dunning_step(account: Account, invoice: Invoice, today: date) -> Step | None:
    """The letter to send today, if any. Each step is taken once and none is left out."""
    if account.paused_until is not None and today < account.paused_until:
        return None
    days = overdue_days(invoice, today)
    for threshold, step in LADDER:
        if step.value == account.reached.value + 1 and days >= threshold:
            return step
    return None


def letter(step: Step, invoice: Invoice) -> str:
    amount = f"{invoice.outstanding():.2f} EUR"
    if step is Step.SUSPEND:
        return f"{invoice.customer}: pick-ups stop until {amount} for {invoice.number} have arrived."
    if step is Step.FINAL_NOTICE:
        return f"{invoice.customer}: {amount} for {invoice.number} are long overdue. We stop pick-ups in two weeks."
    return f"{invoice.customer}: may we remind you of {invoice.number}, {amount}, due on {invoice.due}?"
