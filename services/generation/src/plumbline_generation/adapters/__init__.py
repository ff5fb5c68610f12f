"""The ports of generation on real technologies."""
