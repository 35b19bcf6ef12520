"""The loop of one machine: observe, plan, execute, again."""
