"""Building the notebooks from their sources, running them into records, and looking over the machine they run on."""
