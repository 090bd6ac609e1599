"""The paper's experiments on the mini model: `python -m benchmarks.experiments --work FOLDER`."""
