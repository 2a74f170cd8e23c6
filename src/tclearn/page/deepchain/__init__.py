"""The report of a DeepChain coalition: who was counted, who led, who was named for what, and whose coins went where."""

from tclearn.page.deepchain.report import Summary, render

__all__ = ["Summary", "render"]
