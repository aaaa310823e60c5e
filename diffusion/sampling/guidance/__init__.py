"""Guidance: how the estimates under different conditionings become the one that a solver follows."""
