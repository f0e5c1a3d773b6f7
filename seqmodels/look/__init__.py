"""Looking inside a run: attention, recurrence, gradients, predictions, embeddings, parameters."""
