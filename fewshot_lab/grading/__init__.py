"""Grading: hand out notebooks, take untrusted submissions back, compare their answers outside of their process."""
