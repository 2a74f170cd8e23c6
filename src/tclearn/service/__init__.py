"""A coalition over a network: the service that orders the log and keeps the models, and the members' ends of it."""
