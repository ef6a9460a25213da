"""The planner of a roll against what happens without one, on synthetic fleets."""
