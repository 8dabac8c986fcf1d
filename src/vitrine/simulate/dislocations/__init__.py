"""Discrete dislocation dynamics in a rectangle: geometry, engine, trajectories, campaign."""
