"""What the commands tell people at a terminal."""
