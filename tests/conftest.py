"""What all tests share: threads that wait asleep, since several trainings run at once (see course/kernels.py)."""

import os

from fewshot_lab.course.kernels import considerate_threads

os.environ.update(considerate_threads())
