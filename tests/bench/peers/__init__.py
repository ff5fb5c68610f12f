"""What others would pick instead, measured beside ours in the same run: each in its own process and environment."""
