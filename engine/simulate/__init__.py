"""A seeded working day: people, radios and sensors that publish real messages."""
