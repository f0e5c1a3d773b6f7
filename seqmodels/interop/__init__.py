"""Weights from and to files of PyTorch and Hugging Face."""
