"""Evidence: recorded results, verdicts computed from intervals, the exchange rate and the claims ledger."""

from ..training.metrics import Estimate
from .exchange_rate import exchange_rate
from .ledger import CLAIMS, Claim, Ledger, ledger
from .records import Record, record
from .verdicts import Evidence, Verdict, verdict

__all__ = [
    "CLAIMS",
    "Claim",
    "Estimate",
    "Evidence",
    "Ledger",
    "Record",
    "Verdict",
    "exchange_rate",
    "ledger",
    "record",
    "verdict",
]
