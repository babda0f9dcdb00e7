"""What the course says to people, in English and in Chinese.

The English texts stand in the code that says them. `zh.po` holds the Chinese, `glossary.csv` the terms in both languages.
"""

from .texts import KNOWN, Said, chapter_opening, english, language, later, say, speaking

__all__ = ["KNOWN", "Said", "chapter_opening", "english", "language", "later", "say", "speaking"]
