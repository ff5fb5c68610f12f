"""What documents and passages are, and how passages are cut and ranked. No I/O here."""
