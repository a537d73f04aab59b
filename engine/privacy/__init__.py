"""The gates: who may enter (`consent`) and what may leave (`disclosure`)."""
