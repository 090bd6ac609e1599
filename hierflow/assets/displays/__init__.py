"""What the Dagster UI shows of each asset beside its figures: tables, pictures and links.

Everything here lies in the event log of every run, so it stays small: no picture above 100 KB, no long table. Figures
are plain numbers, so that Dagster plots them over runs.
"""
