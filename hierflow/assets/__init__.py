"""The plugin: an image set as Dagster assets, jobs and checks. Thin: it calls the stages."""
