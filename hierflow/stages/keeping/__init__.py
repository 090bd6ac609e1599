"""What the store keeps, and what may go."""
