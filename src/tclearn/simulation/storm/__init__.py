"""Storms: a coalition whose members, network, disks, clocks and sequencer fail as a seed says, and what must hold."""

from tclearn.simulation.storm.invariants import Broken, check
from tclearn.simulation.storm.plan import Plan
from tclearn.simulation.storm.shrink import broken, shrunk
from tclearn.simulation.storm.storm import Storm, weather

__all__ = ["Broken", "Plan", "Storm", "broken", "check", "shrunk", "weather"]
