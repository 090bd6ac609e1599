"""How the mini model and its judges are trained, stage by stage: `python -m hierflow.mini.training`."""
