"""Evidence: recorded results, verdicts computed from intervals by the rules of rules.toml, the exchange rate, the ledger."""

from ..training.metrics import Estimate
from .choices import chosen
from .course_records import ChapterRecord, course_records, exchange_rates
from .exchange_rate import exchange_rate, rate_ratio
from .ledger import Entry, Ledger, holm, ledger
from .literature import LiteratureLedger, literature_ledger, literature_parts
from .prices import PriceList, price_list, rate_words
from .records import Check, CheckStatus, Outcome, Part, Records, Result, Verdict, recorded
from .results import Results, record
from .rules import RULES, Claim, Rules, read_rules
from .verdicts import Judgement, verdict

__all__ = [
    "RULES",
    "ChapterRecord",
    "Check",
    "CheckStatus",
    "Claim",
    "Entry",
    "Estimate",
    "Judgement",
    "Ledger",
    "LiteratureLedger",
    "Outcome",
    "Part",
    "PriceList",
    "Records",
    "Result",
    "Results",
    "Rules",
    "Verdict",
    "chosen",
    "course_records",
    "exchange_rate",
    "exchange_rates",
    "holm",
    "rate_ratio",
    "rate_words",
    "ledger",
    "literature_ledger",
    "literature_parts",
    "price_list",
    "read_rules",
    "record",
    "recorded",
    "verdict",
]
