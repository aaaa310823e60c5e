"""What may be changed about a network without touching it: its weights, and what happens inside a call."""
