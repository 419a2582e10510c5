"""CONet: channel optimization for convolutional neural networks (ICCV workshops 2021)."""
