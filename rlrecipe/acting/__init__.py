"""The policy that acts, and its evaluation."""
