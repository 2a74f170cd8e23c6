"""The report of a coalition: what happened, in one HTML file that needs nothing else."""

from tclearn.page.report import Summary, render

__all__ = ["Summary", "render"]
