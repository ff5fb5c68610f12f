"""What an answer is, how a prompt is made, and what its sentences rest on. No I/O here."""
