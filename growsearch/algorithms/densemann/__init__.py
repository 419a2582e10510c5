"""DensEMANN: grow a DenseNet layer by layer and filter by filter while it trains."""
