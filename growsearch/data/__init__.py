"""Named data sets and the user's own; images on the device as bytes, augmented in whole batches."""
