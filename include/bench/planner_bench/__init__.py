"""The planner of a night against what happens without a plan, on synthetic fleets."""
