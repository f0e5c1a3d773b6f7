"""Import and export of weights in the formats of PyTorch and Hugging Face."""
