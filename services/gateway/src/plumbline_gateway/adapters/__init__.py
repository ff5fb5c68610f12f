"""The front door's ports on the other services."""
