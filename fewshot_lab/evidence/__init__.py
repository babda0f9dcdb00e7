"""Evidence: recorded results, verdicts computed from intervals, the exchange rate and the claims ledger."""

from ..training.metrics import Estimate
from .choices import chosen
from .claims import CLAIMS, Claim
from .course_records import ChapterRecord, course_records, exchange_rates
from .exchange_rate import exchange_rate, rate_ratio
from .ledger import Ledger, ledger
from .records import Check, CheckStatus, Outcome, Records, Result, Verdict, recorded
from .results import Results, record
from .verdicts import Evidence, Judgement, verdict

__all__ = [
    "CLAIMS",
    "ChapterRecord",
    "Check",
    "CheckStatus",
    "Claim",
    "Estimate",
    "Evidence",
    "Judgement",
    "Ledger",
    "Outcome",
    "Records",
    "Result",
    "Results",
    "Verdict",
    "chosen",
    "course_records",
    "exchange_rate",
    "exchange_rates",
    "rate_ratio",
    "ledger",
    "record",
    "recorded",
    "verdict",
]
