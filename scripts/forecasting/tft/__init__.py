"""The Temporal Fusion Transformer: its windows, network, training and checkpoints."""
