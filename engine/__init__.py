"""Real-time workplace location and occupancy."""
