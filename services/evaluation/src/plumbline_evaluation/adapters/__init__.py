"""One port on one technology each."""
