"""What the course says to people, in English and in every language that has a .po file here.

The English texts are in the code that says them and, for the terms, in `glossary.csv`.
"""

from .texts import KNOWN, Said, chapter_opening, chapter_title, english, language, later, say, speaking

__all__ = ["KNOWN", "Said", "chapter_opening", "chapter_title", "english", "language", "later", "say", "speaking"]
