"""`python -m fewshot_lab` is the command `fewshot-lab`."""

from .cli import main

main()
