"""What the set is: manifest, gallery, history and audit."""
