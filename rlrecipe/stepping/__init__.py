"""Environments on this side of the policy: many as one, their state, their observations as rows."""
