"""Two judges of pictures, trained on drawn pictures alone: they share nothing with the model, nor with each other."""
