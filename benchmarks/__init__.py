"""Measurements with the peer or the floor in the same run. They print ratios and never fail for slowness."""
