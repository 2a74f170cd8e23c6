"""Whole coalitions in one process: the agents, contract and ledger of a deployment, with keys from a printed seed."""

from tclearn.simulation.result import Export, Result
from tclearn.simulation.simulate import Simulation, simulate

__all__ = ["Export", "Result", "Simulation", "simulate"]
