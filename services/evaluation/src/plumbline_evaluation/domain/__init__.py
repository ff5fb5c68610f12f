"""What is evaluated, by which measures, and what follows from them. No input or output here."""
