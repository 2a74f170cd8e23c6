"""Agents: everything that a member's computer does for a coalition. They know no protocol."""

from tclearn.agents.clock import Clock, RealClock, VirtualClock
from tclearn.agents.loop import Agent, Role
from tclearn.agents.outbox import MemoryOutbox, Outbox
from tclearn.agents.scheduler import run
from tclearn.agents.site import Site

__all__ = ["Agent", "Clock", "MemoryOutbox", "Outbox", "RealClock", "Role", "Site", "VirtualClock", "run"]
