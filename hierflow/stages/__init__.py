"""The way of the data, a file a stage. Rooms import those above them, and no others:

    embedding   prompts become conditioning
    making      a plan's partitions become states, images and scores
    reports     manifest, gallery, history and audit
    quality     baselines to compare with, the quality report, and the pilot that finds tau by it
    planning    a tree is founded, grown or rebuilt, and cut
    keeping     what the store keeps, and what may go
    overview    what commands tell of a set, before a run and after

Both fronts call these functions: :func:`hierflow.generate`, without Dagster, and the assets.
"""
