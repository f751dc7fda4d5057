"""Where collections come from: this machine's own packages, files, or ir_datasets."""
